"""DuckDB's signature of its extensions, checked with the processor's own instructions for SHA-256.

DuckDB checks it at each LOAD, without them: that takes a quarter of a second of processor time for the sqlite
extension, a sixth of a small run; this takes a tenth of that. What is not known to be signed here is left to DuckDB.
"""

from __future__ import annotations

import mmap
from base64 import b64decode
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: DuckDB's first public key (of 2048 bits), as its program has it: with that, its makers sign their extensions.
_KEY = b64decode(
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA6aZuHUa1cLR9YDDYaEfi"
    "UDbWY8m2t7b71S+k1ZkXfHqu+5drAxm+dIDzdOHOKZSIdwnJbT3sSqwFoG6PlXF3"
    "g3dsJjax5qESIhbVvf98nyipwNINxoyHCkcCIPkX17QP2xpnT7V59+CqcfDJXLqB"
    "ymjqoFSlaH8dUCHybM4OXlWnAtVHW/nmw0khF8CetcWn4LxaTUHptByaBz8CasSs"
    "gWpXgSfaHc3R9eArsYhtsVFGyL/DEWgkEHWolxY3Llenhgm/zOf3s7PsAMe7EJX4"
    "qlSgiXE6OVBXnqd85z4k20lCw/LAOe5hoTMmRWXIj74MudWe2U91J6GrrGEZa7zT"
    "7QIDAQAB"
)
_BYTES = 256
#: Of a key of that size, where the modulus begins; the exponent, the usual one, follows it.
_AT = 33
_MODULUS, _EXPONENT = int.from_bytes(_KEY[_AT : _AT + _BYTES]), 65537
#: What stands before the hash in a signature: its padding, and the name of SHA-256 (RFC 8017, section 9.2).
_NAME = bytes.fromhex("3031300d060960864801650304020105000420")
_BEFORE = b"\x00\x01" + b"\xff" * (_BYTES - 3 - len(_NAME) - sha256().digest_size) + b"\x00" + _NAME
#: DuckDB signs a hash of hashes: those of each MiB of the file but for the signature at its end.
_PART = 1 << 20


def signed(file: Path) -> bool:
    """Whether a file is signed by the makers of DuckDB. Raises OSError where it cannot be read."""
    with file.open("rb") as opened:
        if file.stat().st_size <= _BYTES:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as whole:
            end = len(whole) - _BYTES
            parts = (whole[begin : min(begin + _PART, end)] for begin in range(0, end, _PART))
            hashed = sha256(b"".join(sha256(part).digest() for part in parts)).digest()
            signature = int.from_bytes(whole[end:])
    return pow(signature, _EXPONENT, _MODULUS) == int.from_bytes(_BEFORE + hashed)
