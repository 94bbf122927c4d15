"""A backfill into an object store: one request makes a file, the record is the last of them, and no key gets out."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyarrow import fs

from candlemill.pipeline.backfill.store import Bucket, Folder, Store, opened
from candlemill.pipeline.base.errors import UsageError
from tests.long.test_backfill import begun, ended, url, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["url", "whole"]

ROOT = Path(__file__).parent.parent.parent
#: In an environment of its own, whose libraries are older than those of the program.
MOTO = ROOT / ".venv" / "s3" / "bin" / "moto_server"
KEY, SECRET = "AKIAOPENSESAME", "open/sesame+open/sesame"
#: A request in the server's log.
REQUEST = re.compile(r'"(PUT|POST|GET|HEAD|DELETE) (\S+) HTTP')


@dataclass
class Server:
    """An object store with a bucket."""

    endpoint: str
    log: Path

    def output(self, prefix: str) -> str:
        return f"s3://history/{prefix}?scheme=http&endpoint_override={self.endpoint}&region=us-east-1"

    def contents(self, prefix: str) -> dict[str, bytes]:
        """Every file below a prefix."""
        files = self.files()
        base = f"history/{prefix}"
        found = {}
        for info in files.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True)):
            if info.type == fs.FileType.File:
                with files.open_input_file(info.path) as stream:
                    found[info.path.removeprefix(f"{base}/")] = stream.read()
        return found

    def files(self, **more: bool) -> fs.S3FileSystem:
        return fs.S3FileSystem(
            access_key=KEY, secret_key=SECRET, scheme="http", endpoint_override=self.endpoint, region="us-east-1",
            **more,
        )  # fmt: skip

    def requests(self) -> list[tuple[str, str]]:
        """Method and path of every request so far."""
        return [(found[1], found[2]) for found in REQUEST.finditer(self.log.read_text())]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [str(MOTO), "-H", "127.0.0.1", "-p", str(port)], stdout=stream, stderr=stream,
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent)},
        )  # fmt: skip
    try:
        while True:
            assert process.poll() is None, log.read_text()
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        made = Server(f"127.0.0.1:{port}", log)
        made.files(allow_bucket_creation=True).create_dir("history")
        yield made
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """For this process in its environment, for commands in the file that the library for S3 looks into."""
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("engines", [("local", "local"), ("ray", "local")])
def test_a_bucket_has_the_files_of_a_folder_after_a_kill_too(
    url: str, whole: dict[str, bytes], s3: Server, tmp_path: Path, engines: tuple[str, str]
) -> None:
    prefix = f"{engines[0]}/then-{engines[1]}"
    before = len(s3.requests())
    total = sum(name.startswith("_tasks") for name in whole)
    told = ""
    first, second = ([f"--engine={name}", "--output", s3.output(prefix), "--workers", "2"] for name in engines)
    child = begun(url, tmp_path, *first)
    wanted = random.randint(1, total - 1)
    while child.poll() is None and len(recorded(s3, prefix)) < wanted:
        time.sleep(0.05)
    child.kill()
    told += ended(child)[1]
    code, err = ended(begun(url, tmp_path, *second))
    assert code == 0, err
    # Once more, where nothing is left to be done.
    code, again = ended(begun(url, tmp_path, *second))
    assert code == 0, again
    held = s3.contents(prefix)
    assert held == whole
    for text in (told, err, again, *(content.decode(errors="replace") for content in held.values())):
        assert SECRET not in text
        assert KEY not in text
    puts = [path for method, path in s3.requests()[before:] if method == "PUT"]
    assert not [path for method, path in s3.requests()[before:] if method == "POST"]
    # A file that one who was killed had written is written again at most by those who come after.
    paths = {name: f"/history/{prefix}/{name}".replace("=", "%3D") for name in whole}
    times = Counter(path.replace("=", "%3D") for path in puts)
    unfinished = [name for name in whole if times[paths[name]] != 1 and not name.startswith("_manifest")]
    assert all(1 <= times[paths[name]] <= 3 for name in unfinished)
    assert len(unfinished) < len(whole) / 2
    order = {path.replace("=", "%3D"): number for number, path in enumerate(puts)}
    for name in whole:
        task = Path(name).stem
        if not name.startswith("_"):
            assert order[paths[name]] < order[paths[f"_tasks/{task}.json"]]


def recorded(s3: Server, prefix: str) -> list[str]:
    where = f"/history/{prefix}/_tasks/"
    return [path for method, path in s3.requests() if method == "PUT" and path.startswith(where)]


@pytest.mark.usefixtures("_keys")
def test_a_store_does_what_a_folder_does(s3: Server, tmp_path: Path) -> None:
    stores: list[Store] = [Folder(tmp_path / "folder"), Bucket.of_url(s3.output("same"))]
    seen = []
    for store in stores:
        assert not store.foreign()
        with store.taken(["", "a"]):
            assert store.read("a/b") is None
            with pytest.raises(FileNotFoundError):
                store.open("a/b")
            store.write("a/b", b"x" * 9)
            store.write("a/b", b"y" * 10)
            # Larger than a part of a request that has several.
            store.write("a/c", bytes(12_000_000))
            draft = store.draft("a/deep/d")
            draft.write_bytes(b"0123456789")
            assert store.read("a/deep/d") is None
            store.publish({draft: "a/deep/d"})
            assert not draft.exists()
            with store.open("a/deep/d") as stream:
                stream.seek(4)
                assert stream.read(3) == b"456"
            store.remove("a/none")
            entries = sorted((entry.name, entry.size) for entry in store.entries("a"))
            assert abs(max(entry.written for entry in store.entries("a")) - time.time()) < 3600
            store.remove("a/c")
            seen.append((entries, store.read("a/b"), [entry.name for entry in store.entries("a")], store.foreign()))
            assert not list(store.entries("none"))
        assert opened(store.url).read("a/b") == b"y" * 10
    assert seen[0] == seen[1]


@pytest.mark.usefixtures("_keys")
def test_what_cannot_be_a_bucket_is_refused_without_its_keys(url: str, s3: Server, tmp_path: Path) -> None:
    for output, reason in (
        (f"s3://{KEY}:{SECRET}@history/x", "credentials in it"),
        (f"s3://history/x?secret_key={SECRET}", "which is none of"),
        ("s3://history/a b", "no bucket and prefix"),
        ("s3:///x", "no bucket and prefix"),
        ("gs://history/x", "no store"),
    ):
        with pytest.raises(UsageError, match=reason) as refused:
            opened(output)
        assert SECRET not in str(refused.value)
    code, err = ended(begun(url, tmp_path, "--output", s3.output("x").replace("//history", "//nobodys")))
    assert code == 4
    assert "cannot be written" in err.strip().splitlines()[-1]
    assert SECRET not in err
