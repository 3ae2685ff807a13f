"""Pose priors by name: shipped mixtures, prior files, and the run folders of trained densities."""

from __future__ import annotations

from pathlib import Path

from ...config import UserError, nearest
from .density import PoseDensity
from .energy import PosePrior
from .files import load_density
from .gaussian import GaussianPrior, read_arrays
from .mixture import PartMixture

_DATA = Path(__file__).parent / "data"
SHIPPED = {"open-infant": _DATA / "open_infant_poses.npz", "open-person": _DATA / "open_person_poses.npz"}
"""Mixtures that fits of the open bodies use, by body."""

RUN_FILE = "prior.safetensors"
"""The trained density in its run folder."""


def find_prior(name: str | Path) -> Path:
    """The file of a prior.

    Args:
        name: of a shipped prior, path of a prior file (``.safetensors``, ``.npz``, SMIL's pickle), or a run folder.

    Raises:
        UserError: for an unknown name (nearest named), or a folder without a trained prior.
    """
    if str(name) in SHIPPED:
        return SHIPPED[str(name)]
    path = Path(name)
    if path.is_dir():
        if not (path / RUN_FILE).is_file():
            raise UserError(f"{path} holds no {RUN_FILE}: it is no run folder of a pose prior, or not trained yet")
        return path / RUN_FILE
    if not path.is_file():
        raise UserError(
            f"no prior '{name}': {nearest(str(name), SHIPPED)}, or the path of a prior file or a run folder"
        )
    return path


def load_prior(name: str | Path) -> PoseDensity | PosePrior:
    """A prior of any kind: a density where the file is ``.safetensors``, else a mixture or a Gaussian of a fit.

    Raises:
        UserError: for an unknown name or a file that is no prior.
    """
    path = find_prior(name)
    if path.suffix == ".safetensors":
        return load_density(path)
    if path.suffix == ".npz" and "part0_columns" in read_arrays(path):
        return PartMixture.from_file(path)
    return GaussianPrior.from_file(path)


def load_fit_prior(name: str | Path) -> PosePrior:
    """A prior in the form that fits take; densities are turned into mixtures.

    Raises:
        UserError: as :func:`load_prior`.
    """
    prior = load_prior(name)
    return prior.to_fit_prior() if isinstance(prior, PoseDensity) else prior
