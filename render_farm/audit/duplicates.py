"""Frames that show nearly the same: pictures whose hashes agree and people who stand alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HASH_BITS = 6
"""Pictures whose 64-bit hashes differ in at most this many bits look alike."""
LABEL_SHARE = 0.02
"""Keypoints that lie closer than this share of the picture's longer side, on average, are alike."""


@dataclass(frozen=True)
class Nearest:
    """The nearest other frame of each of N frames, by hash.

    Attributes:
        bits: (N,) differing bits, 65 where there is no other. other: (N,) its index.
        labels: (N,) mean distance of the keypoints both label, as a share of the picture's longer side; inf where unknown.
    """

    bits: np.ndarray
    other: np.ndarray
    labels: np.ndarray

    @property
    def alike(self) -> np.ndarray:
        """(N,) bool: the pictures look alike."""
        return self.bits <= HASH_BITS

    @property
    def duplicates(self) -> np.ndarray:
        """(N,) bool: pictures and people are alike, or pictures are and no people are labelled."""
        return self.alike & ((self.labels <= LABEL_SHARE) | np.isinf(self.labels))


def nearest_frames(hashes: np.ndarray, keypoints: np.ndarray, clips: np.ndarray) -> Nearest:
    """Find each frame's nearest among the others.

    Args:
        hashes: (N,) uint64. keypoints: (N, J, 3) of the largest person, x and y over the picture's longer side, v.
        clips: (N,) int64 number of the sequence, -1 for single pictures. Frames of one sequence are alike by nature and
            are not compared.
    """
    count = len(hashes)
    bits, other = np.full(count, 65), np.zeros(count, np.int64)
    for start in range(0, count, 256):
        block = slice(start, min(start + 256, count))
        apart = np.bitwise_count(hashes[block, None] ^ hashes[None]).astype(np.int64)
        same = (clips[block, None] == clips[None]) & (clips[block, None] >= 0)
        same |= np.arange(count)[block, None] == np.arange(count)[None]
        apart[same] = 65
        other[block], bits[block] = apart.argmin(1), apart.min(1)
    both = (keypoints[:, :, 2] > 0) & (keypoints[other, :, 2] > 0)
    steps = np.hypot(*np.moveaxis(keypoints[:, :, :2] - keypoints[other, :, :2], -1, 0))
    shared = both.sum(1)
    labels = np.where(shared > 0, (steps * both).sum(1) / np.maximum(shared, 1), np.inf)
    return Nearest(bits, other, labels)
