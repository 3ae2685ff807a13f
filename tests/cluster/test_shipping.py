"""What travels with a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim2pose.cluster import shipping
from sim2pose.config import UserError


def test_environment_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "local")
    assert shipping.job_env(["A=b=c", "MINE"]) == {"A": "b=c", "MINE": "local"}
    with pytest.raises(UserError, match="--env NOT_SET has no value"):
        shipping.job_env(["NOT_SET"])


def test_a_wheel_travels_instead_of_the_code(tmp_path: Path) -> None:
    wheel = tmp_path / "sim2pose-0.1.0-py3-none-any.whl"
    wheel.touch()
    assert shipping.runtime_env(wheel=wheel)["py_modules"] == [str(wheel)]
    for other in (tmp_path / "other-1.0-py3-none-any.whl", tmp_path / "sim2pose-2.whl", tmp_path):
        with pytest.raises(UserError, match=r"no wheel of sim2pose at .*pip wheel"):
            shipping.runtime_env(wheel=other)


def test_pinned_packages_are_those_of_the_constraints() -> None:
    packages = shipping.requirements("pinned")
    assert "torch==2.13.0" in packages
    assert "opencv-python-headless==5.0.0.93" in packages
    assert "s3fs==2026.9.0" in packages, "frames in object stores"
    assert "pillow" in packages, "what is not pinned comes as pyproject asks for it"
    assert not any(p.startswith(("ray", "pytest", "ruff", "anny")) for p in packages)
    assert shipping.runtime_env(packages=packages)["pip"]["packages"] == packages


def test_requirements_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("# mine\nroma==1.8.0  # rotations\n\nzuko\n")
    assert shipping.requirements(str(file)) == ["roma==1.8.0", "zuko"]
    with pytest.raises(UserError, match=r"no requirements file at none\.txt; --pip takes 'pinned' or a file"):
        shipping.requirements("none.txt")
    with pytest.raises(UserError, match=r"--pip pinned reads the constraints\.txt of a checkout"):
        shipping.requirements("pinned", root=tmp_path)
