"""Addresses and tokens: what is wrong with them is told before anything is sent."""

from __future__ import annotations

import os
import socket

import pytest

from sim2pose.cluster import addresses
from sim2pose.config import UserError


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_addresses_are_checked_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(addresses.ADDRESS, raising=False)
    with pytest.raises(UserError, match="no cluster is named: give --address"):
        addresses.find_address(None)
    with pytest.raises(UserError, match="is no job server"):
        addresses.find_address("ray://head:10001")
    with pytest.raises(UserError, match=r"no Ray cluster answers at .*is its head running"):
        addresses.find_address(f"127.0.0.1:{free_port()}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv(addresses.ADDRESS, f"http://127.0.0.1:{port}/")
        assert addresses.find_address(None) == f"http://127.0.0.1:{port}"
        assert addresses.find_address(f"localhost:{port}") == f"http://localhost:{port}", "what is given goes first"


def test_a_given_address_is_not_overridden_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray prefers RAY_API_SERVER_ADDRESS and RAY_ADDRESS to the argument: a job could go elsewhere."""
    import ray.job_submission as module

    seen = {}
    monkeypatch.setenv(addresses.ADDRESS, "http://elsewhere:8265")

    def client(address: str) -> None:
        from ray.dashboard.utils import get_address_for_submission_client

        seen["address"] = get_address_for_submission_client(address)

    monkeypatch.setattr(module, "JobSubmissionClient", client)
    addresses.connect("http://here:8265")
    assert seen == {"address": "http://here:8265"}
    assert os.environ[addresses.ADDRESS] == "http://elsewhere:8265"


def test_refused_tokens_and_strangers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray.job_submission as module
    from ray.exceptions import AuthenticationError

    def refuse(address: str) -> None:
        raise AuthenticationError("Authentication required")

    monkeypatch.setattr(module, "JobSubmissionClient", refuse)
    with pytest.raises(UserError, match="RAY_AUTH_TOKEN_PATH"):
        addresses.connect("http://here:8265")

    def stranger(address: str) -> None:
        raise RuntimeError("Version check returned 404. Please")

    monkeypatch.setattr(module, "JobSubmissionClient", stranger)
    with pytest.raises(UserError, match="is no Ray job server: Version check returned 404"):
        addresses.connect("http://here:8265")
