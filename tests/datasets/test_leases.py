"""The lock of a remote folder."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from sim2pose.config import UserError
from sim2pose.datasets import leases, storage
from sim2pose.datasets.locks import driver_lock


@pytest.fixture
def folder(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(leases, "BEAT_S", 0.2)
    monkeypatch.setattr(leases, "DEAD_AFTER_S", 1.5)
    return storage.place(f"{bucket}/job")


def test_second_driver_is_told_who_has_it(folder: Path) -> None:
    code = f"""
        import sys
        from sim2pose.datasets import leases, storage
        from sim2pose.datasets.locks import driver_lock
        leases.BEAT_S = 0.2
        with driver_lock(storage.place({storage.show(folder)!r})):
            print("held", flush=True)
            sys.stdin.read()
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by pid {other.pid} on"), driver_lock(folder):
            pass
        other.kill()
        other.wait()
        with driver_lock(folder):  # the process that held it was one of this machine and is gone
            (held,) = (name for name in storage.sizes(folder) if name.startswith("_lease-"))
            assert held == "_lease-1"
    finally:
        other.kill()
        other.wait()
    assert storage.sizes(folder) == {}


def test_lease_of_a_dead_machine_is_taken_over(folder: Path) -> None:
    who = json.dumps({"pid": 5, "host": "elsewhere", "run": "x", "beat": 3}).encode()
    storage.create(folder / "_lease-4", who)
    with driver_lock(folder):
        assert list(storage.sizes(folder)) == ["_lease-5"]


def test_lease_given_back_while_it_is_watched(folder: Path) -> None:
    storage.create(folder / "_lease-0", json.dumps({"pid": 5, "host": "elsewhere", "run": "x", "beat": 3}).encode())
    giver = threading.Timer(0.6, storage.remove, [folder / "_lease-0"])
    giver.start()
    with driver_lock(folder):
        assert list(storage.sizes(folder)) == ["_lease-0"]
    giver.join()


def test_driver_that_was_taken_for_dead_ends(folder: Path) -> None:
    def drive() -> None:
        with driver_lock(folder):
            storage.create(folder / "_lease-1", b"{}")
            time.sleep(60)

    with pytest.raises(UserError, match="taken over by another driver"):
        drive()
    assert list(storage.sizes(folder)) == ["_lease-1"]


def test_of_drivers_that_begin_together_no_two_hold(folder: Path) -> None:
    storage.create(folder / "_lease-0", json.dumps({"pid": 4194999, "host": leases.socket.gethostname()}).encode())
    inside, most, refused = 0, 0, 0
    count = threading.Lock()

    def drive() -> None:
        nonlocal inside, most, refused
        try:
            with driver_lock(folder):
                with count:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.5)
                with count:
                    inside -= 1
        except UserError:
            with count:
                refused += 1

    threads = [threading.Thread(target=drive) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 1
    assert refused >= 3
