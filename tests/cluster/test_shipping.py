"""What travels with a job."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from sim2pose.cluster import shipping
from sim2pose.config import UserError


def test_environment_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "local")
    assert shipping.job_env(["A=b=c", "MINE"]) == {"A": "b=c", "MINE": "local"}
    with pytest.raises(UserError, match="--env NOT_SET has no value"):
        shipping.job_env(["NOT_SET"])


def test_the_module_of_a_wheel_travels_without_what_it_depends_on(tmp_path: Path) -> None:
    wheel, other = tmp_path / "sim2pose-0.1.0-py3-none-any.whl", tmp_path / "other-1.0-py3-none-any.whl"
    for file, module in ((wheel, "sim2pose"), (other, "other")):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{module}/__init__.py", "x = 1\n")
            archive.writestr(f"{module}-0.1.0.dist-info/METADATA", "Requires-Dist: torch\n")
    module = shipping.unpack(wheel, tmp_path / "out")
    assert module == tmp_path / "out" / "sim2pose"
    assert sorted(p.name for p in tmp_path.glob("out/*/*")) == ["__init__.py"]
    assert shipping.runtime_env(package=module)["py_modules"] == [str(module)]
    with pytest.raises(UserError, match="is no wheel of sim2pose"):
        shipping.unpack(other, tmp_path / "out")
    with pytest.raises(UserError, match=r"no wheel of sim2pose at .*pip wheel"):
        shipping.unpack(tmp_path, tmp_path / "out")


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
