"""One interface for all pose densities: score, draw, encode, complete, denoise, hand to a fit, save."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...config import UserError
from .energy import PosePrior
from .fit_prior import mixture_of
from .search import complete_by_search, denoise_by_search
from .space import PoseSpace

Metrics = dict[str, Tensor]


class PoseDensity(nn.Module, ABC):
    """A density of poses on a :class:`PoseSpace`.

    Models implement it on standardised coordinates t (n, D); what is here turns poses into them and back. Log densities of
    poses are in nats with respect to Lebesgue's measure of the chart coordinates, rad^D; ``haar=True`` states them with
    respect to Haar's measure for the joints with three kept directions (see :meth:`PoseSpace.log_haar`).

    Attributes:
        kind: name in :data:`build.DENSITIES`. args: what the constructor was given besides the space, for JSON.
        notes, data: what the file should tell of how the model came about; saved and loaded, not used.
    """

    kind: ClassVar[str]

    def __init__(self, space: PoseSpace, **args: Any) -> None:
        super().__init__()
        self.args = args
        self.notes: list[str] = []
        self.data: dict[str, Any] = {}
        self._space = space
        for name, tensor in space.tensors.items():
            self.register_buffer(f"space_{name}", tensor.clone())

    @property
    def space(self) -> PoseSpace:
        """The space, where this module's tensors are."""
        return replace(self._space, **{name: getattr(self, f"space_{name}") for name in self._space.tensors})

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.space.scale.device

    @property
    def dim(self) -> int:
        """D, the kept directions."""
        return self._space.dim

    @property
    def latent_dim(self) -> int:
        """Width of z; D unless the model says otherwise."""
        return self.dim

    @abstractmethod
    def log_prob_standard(self, t: Tensor) -> Tensor:
        """Log density (n,) of standardised coordinates (n, D) in their own units."""

    @abstractmethod
    def sample_standard(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Standardised coordinates (count, D)."""

    @abstractmethod
    def encode_standard(self, t: Tensor) -> Tensor:
        """Latent z (n, Z) of standardised coordinates (n, D); N(0, I) in the model."""

    @abstractmethod
    def decode_standard(self, z: Tensor) -> Tensor:
        """Standardised coordinates (n, D) of latents (n, Z), differentiable."""

    def loss(self, t: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Metrics]:
        """What training minimises, of coordinates (n, D), and figures to log: nats per dimension (of t)."""
        nats = -self.log_prob_standard(t).mean() / self.dim
        return nats, {"nats_per_dim": nats.detach()}

    def initialise(self, t: Tensor) -> None:
        """Set what is computed from data rather than learned, once, before training; it is kept in the state dict."""

    def log_prob_coordinates(self, x: Tensor, haar: bool = False) -> Tensor:
        """Log density (n,) nats of chart coordinates (n, D)."""
        t, logdet = self.space.standardise(x)
        value = self.log_prob_standard(t) + logdet
        return value - self.space.log_haar(x) if haar else value

    def log_prob(self, pose: Tensor, haar: bool = False) -> Tensor:
        """Log density (n,), nats, of poses (n, J, 3), axis-angle."""
        return self.log_prob_coordinates(self.space.to_coordinates(pose), haar)

    def joint_log_prob(self, pose: Tensor) -> Tensor | None:
        """Log densities (n, J) that sum to :meth:`log_prob`, each joint given those before it; None without such factors."""
        return None

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Poses (count, J, 3), axis-angle."""
        return self._pose(self.sample_standard(count, generator))

    def encode(self, pose: Tensor) -> Tensor:
        """Latents (n, Z) of poses (n, J, 3)."""
        return self.encode_standard(self.space.standardise(self.space.to_coordinates(pose))[0])

    def decode(self, z: Tensor) -> Tensor:
        """Poses (n, J, 3) of latents (n, Z)."""
        return self._pose(self.decode_standard(z))

    @torch.no_grad()
    def complete(self, pose: Tensor, known: Tensor, count: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Draw the joints that are not known, given those that are.

        Args:
            pose: (n, J, 3); the rows of unknown joints are not read.
            known: (J,) bool. count: completions of each pose.

        Returns:
            (count, n, J, 3), known joints as they were given.

        Raises:
            UserError: for another shape of ``pose`` or ``known``.
        """
        self.space.check(pose)
        if known.shape != (len(self.space.joints),) or known.dtype != torch.bool:
            raise UserError(
                f"'known' must be ({len(self.space.joints)},) bool, found {tuple(known.shape)} {known.dtype}"
            )
        given = torch.where(known[:, None], pose, self.space.to_pose(pose.new_zeros(1, self.dim)))
        t = self.space.standardise(self.space.to_coordinates(given))[0]
        filled = self.complete_standard(t, known[self.space.owner], count, generator)
        drawn = self._pose(filled.flatten(0, 1)).unflatten(0, (count, len(pose)))
        return torch.where(known[:, None], pose, drawn)

    def complete_standard(
        self, t: Tensor, known: Tensor, count: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """Coordinates (count, n, D) with the columns ``known`` (D,) bool of ``t`` (n, D) kept, the others drawn."""
        return complete_by_search(self, t, known, count, generator)

    @torch.no_grad()
    def denoise(self, pose: Tensor, sigma: float) -> Tensor:
        """The poses (n, J, 3) of the likeliest latents behind noisy ones: noise N(0, ``sigma``²) on coordinates, radians."""
        return self.space.to_pose(denoise_by_search(self, self.space.to_coordinates(pose), sigma))

    def to_fit_prior(self, count: int = 4096, seed: int = 0, floor: float = 0.04) -> PosePrior:
        """The prior in the form that fits take: mixtures learned from ``count`` samples.

        Args:
            count: samples. seed: of samples and mixtures. floor: radians added to every direction's deviation, so that
                poses a little off stay possible.
        """
        generator = torch.Generator(self.device).manual_seed(seed)
        samples = self.sample(count, generator).cpu().double().numpy()
        return mixture_of(samples.reshape(count, -1), self.space.joints, floor, seed)

    def save(self, path: str | Path) -> None:
        """Write one ``.safetensors`` file that :func:`files.load_density` reads."""
        path = Path(path)
        if path.suffix != ".safetensors":
            raise UserError(f"a prior is saved as .safetensors, not as '{path.name}'")
        space = self._space
        about = {"kind": self.kind, "args": self.args, "notes": self.notes, "data": self.data}
        about |= {name: getattr(space, name) for name in ("joint_set", "joints", "dropped", "resolution")}
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, path, {key: json.dumps(value) for key, value in about.items()})

    def _pose(self, t: Tensor) -> Tensor:
        return self.space.to_pose(self.space.unstandardise(t))
