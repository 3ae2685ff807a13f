from __future__ import annotations

import socket
import stat
import tempfile
from pathlib import Path

import pytest
import ray

from sim2pose.config import UserError
from sim2pose.render_farm.farm import ray_session as module
from sim2pose.render_farm.farm.ray_session import ray_session


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_nobody_at_the_address_is_said_at_once(form: str) -> None:
    with (
        pytest.raises(UserError, match=r"no Ray cluster answers at .*is its head running"),
        ray_session(address=form.format(free_port())),
    ):
        pass


def test_no_cluster_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def nobody(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nStart one.")

    monkeypatch.setattr(ray, "init", nobody)
    with (
        pytest.raises(UserError, match="cannot join the Ray cluster at 'auto': Could not find any"),
        ray_session(address="auto"),
    ):
        pass


def test_word_that_is_no_address() -> None:
    with pytest.raises(UserError, match="'head' is no Ray address"), ray_session(address="head"):
        pass


def test_token_is_private_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    module._make_token()
    assert not path.exists()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    module._make_token()
    first = path.read_text()
    module._make_token()
    assert path.read_text() == first
    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_long_temp_folders_are_left_for_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/a/folder/with/quite/a/long/name/indeed")
    module._shorten_tmpdir()
    assert module.os.environ["RAY_TMPDIR"] == "/tmp"
    monkeypatch.delenv("RAY_TMPDIR")
