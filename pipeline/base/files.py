"""Small text files: read as far as they may reach, and put in their place as a whole."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from . import folders

if TYPE_CHECKING:
    from pathlib import Path


def read_text(file: Path, most: int) -> str:
    """The text of a file, which may be a pipe or a device, without a byte order mark.

    Args:
        file: whose text is in UTF-8.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be read.
        ValueError: it has more bytes, is in another encoding, or has a NUL.
    """
    with file.open("rb") as opened:
        content = opened.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes")
    if b"\0" in content:
        raise ValueError("it has a NUL")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is no text in UTF-8") from error


def replace_text(file: Path, text: str) -> None:
    """Put a file in its place, whole: whoever reads it sees the one before, or this one. Raises OSError."""
    folders.make(file.parent)
    draft = file.with_name(f".{secrets.token_hex(8)}.draft")
    try:
        with draft.open("x", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(text)
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
