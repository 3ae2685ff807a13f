"""Embeddings: bounded, repeatable, and clear about what is missing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.trainers.analysis.embedding import embed, umap_missing


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_clusters_stay_apart_and_the_picture_repeats(method: str) -> None:
    if method == "umap":
        pytest.importorskip("umap", reason="the extra 'analysis' is not installed")
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(size=(30, 12)), rng.normal(size=(30, 12)) + 6])
    points = embed(features, method, seed=3)
    assert points.shape == (60, 2)
    centres = points[:30].mean(0), points[30:].mean(0)
    near = [np.linalg.norm(points - centre, axis=1) for centre in centres]
    assert ((near[0] < near[1]) == (np.arange(60) < 30)).all()
    np.testing.assert_array_equal(points, embed(features, method, seed=3))


def test_umap_that_is_not_installed_and_too_few_people_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="5 people are too few"):
        embed(np.zeros((5, 3)), "tsne")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "sim2pose[analysis]" in (umap_missing() or "")
    with pytest.raises(UserError, match=r"sim2pose\[analysis\]"):
        embed(np.random.default_rng(0).normal(size=(20, 3)), "umap")
