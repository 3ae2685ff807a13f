"""The registry and the tracking on a real ``mlflow server``, reached by a wire that can be cut at any time."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sim2pose.cluster import registry
from sim2pose.config import UserError
from sim2pose.trainers.events import EventLog
from sim2pose.trainers.tracking import MlflowSender


class Wire:
    """A TCP relay to a port of this machine. Cut, it refuses calls, as a server that is down does."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.open: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self) -> None:
        for end in (self.listener, *self.open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._relay, args=ends, daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port and folder of a server; its files lie under ``artifacts``."""
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    options += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "mlflow", "server", *options], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 200
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.3)
        yield port, folder
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def wire(server: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # a connection that was cut fails once
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    made = Wire(server[0])
    yield made
    made.cut()


@pytest.fixture
def uri(wire: Wire) -> str:
    return f"http://127.0.0.1:{wire.port}"


def test_versions_travel_by_the_server(
    uri: str, tmp_path: Path, cache: Path, packed_model: Path, measured: Callable[..., dict[str, Any]]
) -> None:
    first = registry.register(uri, packed_model, measured(0.1), "net")
    assert first.folder is None, "its files are the server's"
    pulled = registry.fetch(uri, first)
    assert pulled.is_relative_to(cache)
    assert {path.name: path.read_bytes() for path in pulled.iterdir()} == {
        path.name: path.read_bytes() for path in packed_model.iterdir()
    }
    (pulled / "model.safetensors").write_bytes(b"damaged here")
    assert registry.fetch(uri, first) == pulled
    assert (pulled / "model.safetensors").read_bytes() == (packed_model / "model.safetensors").read_bytes()
    other = Path(shutil.copytree(packed_model, tmp_path / "other"))
    (other / "config.yaml").write_text("name: other\n")
    second = registry.register(uri, other, measured(0.2), "net")
    for version in (first, second):
        assert registry.promote(uri, version).promoted
    assert registry.get(uri, "net@champion").version == "2"
    left, back = registry.rollback(uri, "net")
    assert (left.version, back.version) == ("2", "1")
    assert [v.reference for v in registry.list_versions(uri)] == ["net@2", "net@1"]


def test_what_the_server_holds_is_checked(
    uri: str, server: tuple[int, Path], cache: Path, packed_model: Path, measured: Callable[..., dict[str, Any]]
) -> None:
    version = registry.register(uri, packed_model, measured(0.1), "checked")
    (kept,) = [path for path in (server[1] / "artifacts").rglob("model.json") if str(version.run_id) in str(path)]
    kept.write_text("{}")
    with pytest.raises(UserError, match=r"model.json of checked@1 is not what was registered"):
        registry.fetch(uri, version)
    assert not list(cache.rglob("model.json")), "nothing wrong is cached"
    shutil.rmtree(kept.parent)
    with pytest.raises(UserError, match=r"the files of checked@1 cannot be pulled from mlflow-artifacts:"):
        registry.fetch(uri, version)


def test_a_server_that_is_down_is_said_in_one_sentence(
    uri: str, wire: Wire, packed_model: Path, measured: Callable[..., dict[str, Any]]
) -> None:
    version = registry.register(uri, packed_model, measured(0.1), "down")
    wire.cut()
    calls: list[Callable[[], object]] = [
        lambda: registry.list_versions(uri),
        lambda: registry.get(uri, "down"),
        lambda: registry.register(uri, packed_model, measured(0.1), "down"),
        lambda: registry.promote(uri, version),
        lambda: registry.rollback(uri, "down"),
        lambda: registry.fetch(uri, version),
    ]
    for call in calls:
        with pytest.raises(UserError, match=rf"the registry at {uri} does not answer: is 'mlflow server' running"):
            call()
    wire.mend()
    assert [v.version for v in registry.list_versions(uri) if v.name == "down"] == ["1"], "nothing was half done"


def test_an_artifact_store_that_cannot_be_written_is_named(
    uri: str, server: tuple[int, Path], packed_model: Path, measured: Callable[..., dict[str, Any]]
) -> None:
    artifacts = server[1] / "artifacts"
    aside = artifacts.rename(server[1] / "aside") if artifacts.is_dir() else None
    artifacts.write_text("no folder")
    try:
        with pytest.raises(UserError, match=rf"the artifact store of {uri} \(mlflow-artifacts:.* takes no files"):
            registry.register(uri, packed_model, measured(0.1), "unwritable")
    finally:
        artifacts.unlink()
        if aside is not None:
            aside.rename(artifacts)
    assert not [v for v in registry.list_versions(uri) if v.name == "unwritable"]


@pytest.mark.parametrize("when", ["start", "middle", "end"])
def test_a_training_loses_nothing_by_an_outage(
    uri: str, wire: Wire, tmp_path: Path, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow.tracking import MlflowClient

    def sender() -> MlflowSender:
        return MlflowSender(tmp_path, uri, "outages", f"down at the {when}", {"lr": 0.1})

    log, expected = EventLog(tmp_path, 0), []
    with caplog.at_level(logging.WARNING):
        if when == "start":
            wire.cut()
        one = sender()
        for step, phase in enumerate(("start", "middle", "end"), 1):
            if when == phase and when != "start":
                wire.cut()
            log.write(step, {"loss": 1 / step})
            expected.append((step, 1 / step))
            assert one.flush() is (when != phase)
            if when == phase and when != "end":
                wire.mend()
        one.start().close("FINISHED")
    assert "are sent when it is back" in caplog.text
    if when == "end":
        wire.mend()
        sender().start().close("FINISHED")  # what train(resume=True) of a finished run does
    client = MlflowClient(tracking_uri=uri)
    run_id = json.loads((tmp_path / "tracking.json").read_text())["run_id"]
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "loss")] == expected
    run = client.get_run(run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"lr": "0.1"})
    named = client.search_runs([run.info.experiment_id], f"attributes.run_name = 'down at the {when}'")
    assert len(named) == 1, "an outage makes no second run"
