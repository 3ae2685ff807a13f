"""A body model ready for use: shape and pose in, vertices, joints and keypoints out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ...config import UserError
from .hands import HandSpace, assemble
from .points import PointWeights, point_weights, refuse_missing
from .skinning import SkinnedMesh, move, skin

BETA_LIMIT = 2.2
"""Sampled betas stay within this many standard deviations: beyond it infants thin out or swell."""

KERNEL = 0.25
"""Width of the kernel of ``sample_betas`` in standard deviations of each beta."""


@dataclass(frozen=True)
class BodyOutput:
    """What a body returns, in metres and in the frame of the given pose and translation.

    Attributes:
        vertices: (B, V, 3). joints: (B, J, 3), the posed joints of the model.
        keypoints: (B, K, 3), the body's keypoint set: COCO-17, or FreiHAND's 21 for hands.
    """

    vertices: torch.Tensor
    joints: torch.Tensor
    keypoints: torch.Tensor


@dataclass(frozen=True)
class Body:
    """An SMPL-family body: SMPL (and SMIL), SMPL-H, SMPL-X, or a MANO hand.

    The native frame is SMPL's: T-pose, Y up, facing +Z, the person's left at +X, metres. Made by ``load_body``.

    Attributes:
        name: "open-infant", or the stem of the file.
        format: "smpl", "smplh", "smplx" or "mano".
        joint_set: its joints: "smpl24", "smplh52", "smplx55" or "mano16". keypoint_set: "coco17" or "freihand21".
        official: whether the mesh is the format's official one, by its numbers of vertices and faces.
        faces: (F, 3) int32, counter-clockwise from outside.
        uv: (T, 2) float32 texture coordinates; (0, 0) is the **top-left** corner of a texture, v grows downwards.
        uv_faces: (F, 3) int32 into ``uv``.
        part_ids: (F,) uint8, 1 + index of the joint that dominates the face's skinning weights (1..J).
        template: (V, 3) float32, vertices at zero betas and zero pose.
        weights: (V, J) float32 skinning weights.
        parents: parent of each joint, -1 at the root. joint_count: joints J with a rotation.
        keypoint_depth: (K,) float32, distance of each keypoint to the skin of the template, metres.
        num_betas: shape coefficients used. num_expressions: facial ones (SMPL-X), else 0.
        licence: sentence to carry into data sets made with this body.
        mesh: arrays for :func:`skin`; of SMPL-X its shape columns are betas, then expressions.
        joint_regressor: (J, V) float32, joints of an unposed body from its vertices.
        keypoint_regressor: (K, V), keypoints from vertices alone. Of hands it is exact without pose only;
            :class:`BodyOutput` has their posed joints.
        hands: mean pose and components of each hand ("left", "right", or MANO's "hand").
        extra_vertices: vertex number by point (nose, eyes, ears, finger tips, toes, heels), where known.
        landmarks: face points ``face0`` ... ``face67`` as (vertex numbers (3,), barycentric weights (3,)).
        population, population_ages: betas (M, num_betas) of the bodies it was built from, and their ages.
        age_unit: "months" or "years".
    """

    name: str
    format: str
    joint_set: str
    keypoint_set: str
    official: bool
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    part_ids: np.ndarray
    template: np.ndarray
    weights: np.ndarray
    parents: tuple[int, ...]
    keypoint_depth: np.ndarray
    num_betas: int
    num_expressions: int
    joint_count: int
    licence: str
    mesh: SkinnedMesh = field(repr=False)
    joint_regressor: np.ndarray = field(repr=False)
    keypoint_regressor: torch.Tensor = field(repr=False)
    hands: dict[str, HandSpace] = field(default_factory=dict, repr=False)
    extra_vertices: dict[str, int] = field(default_factory=dict, repr=False)
    landmarks: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)
    population: np.ndarray | None = field(default=None, repr=False)
    population_ages: np.ndarray | None = field(default=None, repr=False)
    age_unit: str = "months"
    meta: dict[str, Any] = field(default_factory=dict, repr=False)
    _weights: dict[str, PointWeights] = field(default_factory=dict, repr=False, compare=False)

    def __call__(
        self,
        betas: torch.Tensor,
        pose: torch.Tensor,
        transl: torch.Tensor,
        expression: torch.Tensor | None = None,
    ) -> BodyOutput:
        """Pose a batch of bodies; differentiable.

        Args:
            betas: (B, num_betas) float32, in standard deviations of the population.
            pose: (B, 3J) or (B, J, 3) float32 axis-angle, radians, global orientation first; see :meth:`full_pose`.
            transl: (B, 3) float32, metres, added after the body has turned about its root joint.
            expression: (B, num_expressions) float32, SMPL-X alone; none is a neutral face.

        Raises:
            ValueError: for shapes that do not match.
        """
        batch = betas.shape[0]
        if betas.shape != (batch, self.num_betas) or pose.numel() != batch * self.joint_count * 3:
            raise ValueError(
                f"{self.name} needs betas (B, {self.num_betas}) and pose (B, {self.joint_count * 3}), "
                f"got {tuple(betas.shape)} and {tuple(pose.shape)}"
            )
        shape = self.shape_columns(betas, expression)
        planes, joints = skin(self.mesh, shape, pose.reshape(batch, self.joint_count, 3))
        planes = planes + transl.unsqueeze(-1)
        joints = joints + transl.unsqueeze(1)
        points = self.point_weights(self.keypoint_set)
        keypoints = (planes @ points.vertices.T).transpose(1, 2)
        if self.format == "mano":
            keypoints = keypoints + points.joints @ joints
        return BodyOutput(planes.transpose(1, 2).contiguous(), joints, keypoints.contiguous())

    def shape_columns(self, betas: torch.Tensor, expression: torch.Tensor | None = None) -> torch.Tensor:
        """Coefficients (B, num_betas + num_expressions) of ``mesh``: betas, then expression or zeros."""
        if expression is None:
            expression = betas.new_zeros(len(betas), self.num_expressions)
        if expression.shape != (len(betas), self.num_expressions):
            raise ValueError(
                f"{self.name} needs expression (B, {self.num_expressions}), got {tuple(expression.shape)} "
                f"with {len(betas)} betas"
            )
        return torch.cat([betas, expression], 1) if self.num_expressions else betas

    def full_pose(
        self,
        global_orient: torch.Tensor | None = None,
        body_pose: torch.Tensor | None = None,
        jaw_pose: torch.Tensor | None = None,
        leye_pose: torch.Tensor | None = None,
        reye_pose: torch.Tensor | None = None,
        left_hand_pose: torch.Tensor | None = None,
        right_hand_pose: torch.Tensor | None = None,
        hand_pose: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Pose (B, J, 3) from smplx's parts; what is left out is zero.

        Every part is (B, 3n) or (B, n, 3) axis-angle, or (1, ...) for the whole batch; a part that the format lacks is
        refused. Hands are relative to the mean hand unless the body was loaded with ``flat_hand_mean=True``, and are
        (B, num_pca_comps) coefficients if it was loaded with ``use_pca=True``: all as in smplx.

        Raises:
            UserError: for parts of another format, and if a mean hand is wanted that the file does not have.
            ValueError: for shapes that do not match.
        """
        given = {
            "global_orient": global_orient,
            "body_pose": body_pose,
            "jaw_pose": jaw_pose,
            "leye_pose": leye_pose,
            "reye_pose": reye_pose,
            "left_hand_pose": left_hand_pose,
            "right_hand_pose": right_hand_pose,
            "hand_pose": hand_pose,
        }
        return assemble(self.name, self.format, self.hands, given, self.mesh.template)

    def point_weights(self, joint_set_name: str, allow_missing: bool = False) -> PointWeights:
        """Points of a joint set as a linear map of vertices and posed joints; see :mod:`.points`.

        Raises:
            UserError: for points that this body lacks, by name, unless ``allow_missing`` (their rows are then zero).
        """
        if joint_set_name not in self._weights:
            self._weights[joint_set_name] = point_weights(self, joint_set_name)
        found = self._weights[joint_set_name]
        if not allow_missing:
            refuse_missing(self, joint_set_name, found.missing)
        return found

    def points(self, output: BodyOutput, joint_set_name: str) -> torch.Tensor:
        """Points (B, K, 3) of a joint set on posed bodies, metres.

        Raises:
            UserError: for points that this body lacks, by name.
        """
        return self.point_weights(joint_set_name)(output.vertices, output.joints)

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Body:
        """The same body on a device or in a precision; numpy arrays stay as they are."""
        hands = {
            side: HandSpace(*(None if t is None else t.to(device, dtype) for t in (hand.mean, hand.components)))
            for side, hand in self.hands.items()
        }
        regressor = self.keypoint_regressor.to(device, dtype)
        return replace(
            self, mesh=move(self.mesh, device, dtype), keypoint_regressor=regressor, hands=hands, _weights={}
        )

    @property
    def population_months(self) -> np.ndarray | None:
        """Ages of the population in months, or None."""
        if self.population_ages is None or self.age_unit == "months":
            return self.population_ages
        return self.population_ages * 12

    def sample_betas(self, rng: np.random.Generator, n: int, months: tuple[float, float] | None = None) -> np.ndarray:
        """Draw ``n`` plausible shapes, (n, num_betas) float32.

        Bodies that carry the population they were built from are drawn by a smoothed bootstrap: a member of the
        population, shrunk and given Gaussian noise of width :data:`KERNEL` such that mean and variance stay those of
        the population (Silverman 1986, section 6.4.1). Age and build therefore stay coupled as in the population, which
        independent Gaussians would not keep. Other bodies: independent standard normals. Both are clamped to
        +-:data:`BETA_LIMIT`.

        Args:
            rng: source of randomness; the draws depend on it alone.
            months: only members of the population whose age lies in this range, in months.

        Raises:
            UserError: for a range of months that the body does not have.
        """
        if self.population is None:
            if months is not None:
                raise UserError(f"body '{self.name}' does not know ages: leave 'months' out")
            draws = rng.standard_normal((n, self.num_betas))
        else:
            members = self._members(months)
            chosen = self.population[members[rng.integers(len(members), size=n)]].astype(np.float64)
            noise = rng.standard_normal((n, self.num_betas))
            draws = (chosen + KERNEL * noise) / np.sqrt(1 + KERNEL**2)
        return np.clip(draws, -BETA_LIMIT, BETA_LIMIT).astype(np.float32)

    def _members(self, months: tuple[float, float] | None) -> np.ndarray:
        """Indices of the members of the population in an age range."""
        assert self.population is not None
        ages = self.population_months
        if months is None:
            return np.arange(len(self.population))
        if ages is None:
            raise UserError(f"body '{self.name}' does not know ages: leave 'months' out")
        members = np.flatnonzero((ages >= months[0]) & (ages <= months[1]))
        if not len(members):
            low, high = ages.min(), ages.max()
            raise UserError(
                f"no body of '{self.name}' is {months} months old: choose a range within {low:.0f}-{high:.0f}"
            )
        return members
