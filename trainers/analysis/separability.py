"""How well features tell two domains: a fresh linear probe, and the proxy A-distance that follows from its error."""

from __future__ import annotations

import numpy as np


def probe_accuracy(
    source: np.ndarray,
    target: np.ndarray,
    source_frames: np.ndarray | None = None,
    target_frames: np.ndarray | None = None,
) -> float:
    """Balanced held-out accuracy of logistic regression between two sets of features: fitted on half, scored on half.

    An online classifier that is fooled does not mean aligned features; this one has not been trained against.

    Args:
        source: (n, d); target: (m, d).
        source_frames, target_frames: (n,), (m,) frame of each row: people of a frame share a half, as their
            background would give them away. None: every row is a frame of its own.

    Returns:
        0.5 where the features say nothing of the domain, 1 where they tell it surely.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fit = np.concatenate([_first_half(source, source_frames), _first_half(target, target_frames)])
    x, y = np.concatenate([source, target]), np.repeat([1, 0], [len(source), len(target)])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    probe.fit(x[fit], y[fit])
    return float(balanced_accuracy_score(y[~fit], probe.predict(x[~fit])))


def proxy_a_distance(accuracy: float) -> float:
    """``d_A = 2 (1 − 2ε)``, ε the held-out error of a classifier between the domains: 0 not told apart, 2 told surely.

    Ben-David et al., "Analysis of Representations for Domain Adaptation", NeurIPS 2006, and "A theory of learning from
    different domains", Machine Learning 79, 2010. The A-distance takes the best classifier of a class, whose error is
    at most ½; a probe that does worse than chance on its held-out half has found nothing, so values below 0 become 0.

    Args:
        accuracy: balanced held-out accuracy, 1 − ε.
    """
    return max(0.0, 2.0 * (1.0 - 2.0 * (1.0 - accuracy)))


def _first_half(features: np.ndarray, frames: np.ndarray | None) -> np.ndarray:
    """(n,) bool: rows to fit on; every other frame."""
    groups = np.arange(len(features)) if frames is None else np.unique(frames, return_inverse=True)[1]
    return np.asarray(groups % 2 == 0)
