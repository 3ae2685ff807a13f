"""Places: local, ``file://`` and an object store; the store of these tests is a local server that speaks S3."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sim2pose.config import UserError
from sim2pose.datasets import remote, storage
from sim2pose.datasets.augment import augmentation
from sim2pose.datasets.frames import DatasetInfo, Frame
from sim2pose.datasets.locks import driver_lock
from sim2pose.datasets.manifest import MANIFEST, shard_name
from sim2pose.datasets.persons import PersonDataset
from sim2pose.datasets.publish import publish_shard, write_manifest
from sim2pose.datasets.shards import FramesFolder
from sim2pose.datasets.stream import BatchPlan, make_loader

INFO = DatasetInfo("two", ("left", "right"), ((0, 1),), None, {"seed": 1}, "h1", "free")


def make_frame(index: int) -> Frame:
    return Frame(index, b"\xff\xd8" + bytes([index % 256]) * 500, 8, 16, "synthetic", source=str(index))


def write(folder: Path | str, rows: tuple[int, ...] = (100, 20)) -> None:
    entries, first = [], 0
    for shard, count in enumerate(rows):
        entries.append(publish_shard(folder, shard, [make_frame(i) for i in range(first, first + count)], INFO))
        first += count
    write_manifest(folder, entries, INFO)


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "local":
        return tmp_path
    return storage.place(f"{request.getfixturevalue('bucket')}/a/prefix")


@contextmanager
def answering(answer: Callable[[str, str], tuple[int, str]]) -> Iterator[str]:
    """A server that gives the same kind of answer to everything; yields its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # clients wait for "100 Continue"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, code = answer(self.command, self.path)
            body = f"<Error><Code>{code}</Code><Message>so says the store</Message></Error>" if code else ""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_names_of_places(tmp_path: Path) -> None:
    remote_place = storage.place("s3://bucket/some/prefix")
    assert storage.is_remote(remote_place) and storage.is_remote(Path("s3://bucket/some/prefix"))
    assert storage.show(remote_place / "x.parquet") == "s3://bucket/some/prefix/x.parquet"
    assert storage.absolute("s3://bucket/x") == Path("s3://bucket/x")
    assert storage.place(f"file://{tmp_path}/a") == tmp_path / "a"
    assert not storage.is_remote(storage.place("frames/infant"))
    assert storage.absolute("frames") == Path.cwd() / "frames"


def test_a_name_is_created_once(folder: Path) -> None:
    assert storage.create(folder / "x", b"one")
    assert not storage.create(folder / "x", b"two")
    with storage.scratch(folder / "x") as temp:
        storage.write_synced(temp, b"three")
        assert not storage.create(folder / "x", temp)
        assert storage.create(folder / "y", temp)
    assert not temp.exists()
    assert (storage.read_bytes(folder / "x"), storage.read_bytes(folder / "y")) == (b"one", b"three")
    storage.replace(folder / "x", b"four")
    assert storage.sizes(folder) == {"x": 4, "y": 5}
    with storage.open_input(folder / "y") as file:
        file.seek(-3, os.SEEK_END)
        assert (file.read(2), file.tell()) == (b"re", 4)
    storage.remove(folder / "x")
    storage.remove(folder / "x")
    assert (storage.size(folder / "x"), storage.size(folder / "y")) == (None, 5)
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(folder / "x")
    assert storage.sizes(folder / "nowhere") == {}


def test_of_eight_writers_one_succeeds(folder: Path) -> None:
    for name in ("a", "b", "c"):
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda i, name=name: storage.create(folder / name, b"%d" % i), range(8)))
        assert sum(made) == 1
        assert storage.read_bytes(folder / name) == b"%d" % made.index(True)


def test_large_files_go_up_in_parts_and_once(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CHUNK_BYTES", 5 << 20)  # the least that S3 takes
    source = tmp_path / "large"
    source.write_bytes(os.urandom(11 << 20))
    path = storage.place(f"{bucket}/large")
    assert storage.create(path, source)
    assert not storage.create(path, source)
    assert storage.sha256(path) == storage.sha256(source)


def test_folder_of_frames(folder: Path) -> None:
    write(folder)
    late = publish_shard(folder, 1, [make_frame(7)], INFO)
    assert late.rows == 20, "a shard that is there is kept"
    frames = FramesFolder.open(storage.show(folder), verify=True)
    assert [frame.source for frame in frames.iterate()] == [str(i) for i in range(120)]
    assert frames.read([119])[0].image == make_frame(119).image
    storage.remove(folder / MANIFEST)
    with pytest.raises(UserError, match="half written: 2 shards"):
        FramesFolder.open(folder)
    with pytest.raises(UserError, match="holds no _manifest"):
        FramesFolder.open(folder / "elsewhere") if storage.is_remote(folder) else FramesFolder.open(folder.parent)


def test_another_manifest_is_not_overwritten(folder: Path) -> None:
    write(folder)
    write(folder)
    other = publish_shard(folder, 2, [make_frame(500)], INFO)
    with pytest.raises(UserError, match=r"_manifest.json exists and says otherwise"):
        write_manifest(folder, [other], INFO)


def test_training_stream_reads_from_a_store(bucket: str, make_folder: Callable[..., FramesFolder]) -> None:
    local = make_folder(frames=70, shard=64)
    there = storage.place(f"{bucket}/frames")
    for file in local.path.iterdir():
        assert storage.create(there / file.name, file)
    batches = []
    for where in (local.path, f"{bucket}/frames"):
        data = PersonDataset(str(where), domain=1)
        plan = BatchPlan.make([data], batch=8, seed=3)
        loader = make_loader([data], plan, augmentation("none"), (32, 32), workers=1, stop_step=2)
        batches.append([batch["image"] for batch in loader])
    assert all((a == b).all() for a, b in zip(*batches, strict=True))


def test_uploads_of_the_dead_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with storage.scratch(storage.place("s3://b/shard-00000.parquet")) as mine:
        mine.write_bytes(b"x")
        dead = mine.with_name(".shard-00001.parquet.4194999-aa.tmp")  # above the largest process id
        dead.write_bytes(b"x")
        assert storage.sweep_uploads() == 1
        assert mine.exists() and not dead.exists()


# --- what stores say -------------------------------------------------------------------------------------------------


def test_no_bucket(bucket: str) -> None:
    with pytest.raises(UserError, match=r"no bucket for s3://nobody/a"):
        storage.create(Path("s3://nobody/a"), b"x")
    with pytest.raises(UserError, match=r"no bucket for s3://nobody"):
        FramesFolder.open("s3://nobody/a")


def test_unreachable_store(s3: pytest.MonkeyPatch) -> None:
    s3.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(remote.Unreachable, match=r"store of s3://b/a/_lease-?0?.* cannot be reached.*AWS_ENDPOINT_URL"):
        storage.create(Path("s3://b/a/_lease-0"), b"x")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", r"access to s3://b/a/x is denied .*check the credentials"),
        (507, "XMinioStorageFull", r"no space left for s3://b/a/x"),
        (400, "Strange", r"s3://b/a/x could not be read or written: .*so says the store"),
    ],
)
def test_refusals_are_sentences(s3: pytest.MonkeyPatch, status: int, code: str, words: str) -> None:
    with answering(lambda *_: (status, code)) as url:
        s3.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(UserError, match=words):
            storage.create(Path("s3://b/a/x"), b"x")


def test_writer_at_the_same_moment_is_waited_for(s3: pytest.MonkeyPatch) -> None:
    """S3 answers 409 while another conditional write of the name is under way."""
    answers = [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed")]
    with answering(lambda *_: answers.pop(0)) as url:
        s3.setenv("AWS_ENDPOINT_URL", url)
        assert not storage.create(Path("s3://b/a/x"), b"x")
    assert answers == []


def test_no_credentials(s3: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        s3.delenv(name)
    s3.setenv("HOME", str(tmp_path))
    s3.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UserError, match="no credentials for s3://b/x"):
        storage.create(Path("s3://b/x"), b"x")


def test_store_that_creates_twice_is_refused(s3: pytest.MonkeyPatch) -> None:
    """Many S3-like stores ignore If-None-Match and say nothing."""
    with answering(lambda method, path: (200, "")) as url:
        s3.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(UserError, match="ignores If-None-Match"), driver_lock(Path("s3://b/a")):
            pass


def test_unknown_kind_of_place() -> None:
    with pytest.raises(UserError, match="no place that can be read or written"):
        storage.read_bytes(Path("gopher://x/y"))


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def refuse(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", refuse)
    with pytest.raises(UserError, match=r"pip install 'sim2pose\[s3\]'"):
        storage.read_bytes(Path("s3://b/x"))


def test_damaged_remote_shard_is_named(bucket: str) -> None:
    folder = storage.place(f"{bucket}/a")
    write(folder)
    path = folder / shard_name(0)
    data = bytearray(storage.read_bytes(path))
    data[data.index(make_frame(70).image) + 100] ^= 1
    storage.replace(path, bytes(data))
    frames = FramesFolder.open(folder)
    with pytest.raises(UserError, match=rf"{bucket}/a/shard-00000.parquet is damaged"):
        frames.row_group(0, 1)
    storage.replace(path, bytes(data[:-50]))
    with pytest.raises(UserError, match="bytes, the manifest says"):
        FramesFolder.open(folder).row_group(0, 0)
