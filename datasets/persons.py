"""Persons of frame folders as one flat, filtered list: what training draws its samples from.

Labels are small and are held in memory (some 300 bytes a person); pictures stay on disk. What is left out is counted by
reason, so that a data set that shrinks says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..config import UserError, nearest
from ..models.joints import JointSet
from ..models.joints import joint_set as find_joint_set
from .labelled import labelled_sets, locate_set, person_keypoints
from .parquet import open_shard, read_columns
from .shards import FramesFolder

_KEYPOINTS = "persons.list.element.keypoints"


class PersonDataset:
    """Usable persons of one domain, from one or several folders.

    Attributes (P persons, J joints, all in the folders' order):
        joint_set: the folders' common joint set; flip_permutation: its (J,) int64 exchange of left and right.
        domain: 1 for source (synthetic), 0 for target (real); goes into every batch.
        bbox (P, 4) float32 xywh; keypoints (P, J, 3) float32 picture pixels and v; labelled (P,) bool: whether
        training may see the keypoints; frame_id (P,) int64; person (P,) int64: index within its frame;
        group (P,) int64: row group, row (P,) int64: frame's row in it; groups: (folder, shard, row group) by group.
        blocks: (G,) int64 persons a row group.
        counts: persons used and skipped, by reason.
    """

    def __init__(
        self,
        folders: FramesFolder | Path | str | Sequence[FramesFolder | Path | str],
        *,
        domain: int,
        domains: Sequence[str] | None = None,
        min_keypoints: int = 1,
        on_bad: str = "skip",
        limit: int | None = None,
        labels: int | None = None,
        label_seed: int = 0,
        joint_set: str | None = None,
        frame_limit: int | float | None = None,
        allow_empty: bool = False,
    ) -> None:
        """Index the folders.

        Args:
            folders: frame folders, open or by path, all of one joint set.
            domain: 1 source, 0 target.
            domains: keep only frames of these ``domain`` names; None keeps all.
            min_keypoints: persons with fewer labelled keypoints are left out. 0 keeps persons that have only a box.
            on_bad: ``skip`` leaves out NaN keypoints and boxes without area and counts them; ``refuse`` raises.
            limit: use no more than this many persons, drawn by ``label_seed``.
            labels: only this many persons, drawn by ``label_seed``, keep their labels; the rest are unlabelled
                (``labelled`` False, weight 0). A smaller number draws a subset of a larger one's. None: all keep them.
            label_seed: see above.
            joint_set: which labelled joint set to take; None: the first folder's first.
            frame_limit: use only the people of this many frames (of those with usable people), or of this share of them
                if it is below 1, drawn by ``label_seed``. A smaller number draws a subset of a larger one's.
            allow_empty: False raises if no person is left.

        Raises:
            UserError: for a folder that does not label it, an unknown domain name or policy, a bad person under
                ``refuse``, more frames asked for than there are, or no person at all.
        """
        if on_bad not in ("skip", "refuse"):
            raise UserError(f"on_bad must be 'skip' or 'refuse', got '{on_bad}'")
        if domain not in (0, 1):
            raise UserError(f"domain must be 1 (source) or 0 (target), got {domain}")
        listed = [folders] if isinstance(folders, FramesFolder | str | Path) else list(folders)
        if not listed:
            raise UserError("no frames folder given")
        self.folders = [f if isinstance(f, FramesFolder) else FramesFolder.open(f) for f in listed]
        self.joint_set: JointSet = find_joint_set(joint_set or self.folders[0].info.joint_set)
        self.flip_permutation = self.joint_set.flip_permutation()
        self.domain = domain
        self.counts: dict[str, int] = {}
        self._load(domains, min_keypoints, on_bad)
        if frame_limit is not None:
            self._keep_frames(frame_limit, label_seed)
        order = np.random.default_rng([label_seed, len(self.bbox)]).permutation(len(self.bbox))
        if limit is not None and limit < len(order):
            self.counts["over limit"] = len(order) - limit
            kept = np.sort(order[:limit])
            order = np.searchsorted(kept, order[:limit])
            self._keep(kept)
        self.labelled = np.ones(len(self.bbox), bool)
        if labels is not None:
            self.labelled[order[labels:]] = False
        self.counts["used"] = len(self.bbox)
        self.counts["labelled"] = int(self.labelled.sum())
        if not (len(self.bbox) or allow_empty):
            raise UserError(f"{self.folders[0].path}: no usable person ({self.describe()})")

    def __len__(self) -> int:
        return len(self.bbox)

    @property
    def blocks(self) -> np.ndarray:
        """(G,) int64 persons in each row group."""
        return np.bincount(self.group, minlength=len(self.groups))

    @property
    def frames(self) -> int:
        """Number of frames that hold the persons."""
        return len(np.unique(np.stack([self.group, self.row]), axis=1).T)

    def describe(self) -> str:
        """The counts in one line, for logs."""
        return ", ".join(f"{count} {reason}" for reason, count in self.counts.items() if count or reason == "used")

    def read_group(self, group: int) -> list[bytes]:
        """Encoded pictures of all frames in a row group."""
        folder, shard, row_group = self.groups[group]
        return [frame.image for frame in self.folders[folder].row_group(shard, row_group, fields=["image"])]

    def _load(self, domains: Sequence[str] | None, min_keypoints: int, on_bad: str) -> None:
        parts: list[dict[str, np.ndarray]] = []
        keeps: list[np.ndarray] = []
        self.groups: list[tuple[int, int, int]] = []
        for number, folder in enumerate(self.folders):
            if self.joint_set.name not in labelled_sets(folder.info):
                raise UserError(
                    f"{folder.path} has joint set '{', '.join(labelled_sets(folder.info))}', {self.folders[0].path} has "
                    f"'{self.joint_set.name}': data sets of one training need one joint set"
                )
            columns, in_domain = _columns(folder, domains, self.joint_set.name)
            columns["group"] += len(self.groups)
            self.groups += [(number, shard, group) for shard, group, _ in folder.row_groups()]
            keeps.append(self._usable(folder, columns, in_domain, min_keypoints, on_bad))
            parts.append(columns)
        merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.bbox, self.keypoints = merged["bbox"], merged["keypoints"]
        self.frame_id, self.person = merged["frame_id"], merged["person"]
        self.group, self.row = merged["group"], merged["row"]
        self._keep(np.flatnonzero(np.concatenate(keeps)))

    def _keep_frames(self, limit: int | float, seed: int) -> None:
        """Leave the people of ``limit`` frames (a share of all if below 1)."""
        unique, frame = np.unique(np.stack([self.group, self.row]), axis=1, return_inverse=True)
        frames = unique.shape[1]
        wanted = max(1, round(limit * frames)) if limit < 1 else int(limit)
        if wanted > frames:
            raise UserError(
                f"{self.folders[0].path}: {wanted} frames asked for, {frames} have usable people: ask for fewer"
            )
        drawn = np.random.default_rng([seed, frames]).permutation(frames)[:wanted]
        kept = np.flatnonzero(np.isin(frame, drawn))
        self.counts["in frames left out"] = len(self.bbox) - len(kept)
        self._keep(kept)

    def _keep(self, positions: np.ndarray) -> None:
        for name in ("bbox", "keypoints", "frame_id", "person", "group", "row"):
            setattr(self, name, getattr(self, name)[positions])

    def _usable(
        self, folder: FramesFolder, columns: dict[str, np.ndarray], keep: np.ndarray, min_keypoints: int, on_bad: str
    ) -> np.ndarray:
        """Which persons stay: (P,) bool; counts the others under the first reason that applies."""
        bbox, keypoints = columns["bbox"], columns["keypoints"]
        finite = np.isfinite(keypoints).all(axis=(1, 2)) & np.isfinite(bbox).all(axis=1)
        flat = ~(bbox[:, 2:] > 0).all(axis=1)
        few = (keypoints[:, :, 2] > 0).sum(axis=1) < min_keypoints
        reasons = {
            "of other domains": ~keep,
            "crowds": columns["iscrowd"],
            "with NaN labels": ~finite,
            "boxes without area": flat,
            f"with fewer than {min_keypoints} keypoints": few,
        }
        keep = np.ones(len(bbox), bool)
        for reason, bad in reasons.items():
            hit = np.flatnonzero(keep & bad)
            if len(hit) and on_bad == "refuse" and reason in ("with NaN labels", "boxes without area"):
                first = int(hit[0])
                raise UserError(
                    f"{folder.path}: frame {columns['frame_id'][first]}, person {columns['person'][first]} has a bad "
                    f"label ({len(hit)} persons {reason}): mend them, or set on_bad=skip"
                )
            self.counts[reason] = self.counts.get(reason, 0) + len(hit)
            keep &= ~bad
        return keep


def _columns(
    folder: FramesFolder, domains: Sequence[str] | None, joint_set: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Per-person arrays of a folder, and (P,) bool: whether its frame's domain is wanted."""
    index = folder.index()
    for name in domains or ():
        if name not in folder.domains:
            raise UserError(f"{folder.path} has no frames of domain '{name}': {nearest(name, folder.domains)}")
    frame = index.frame
    wanted = np.array([domains is None or name in domains for name in folder.domains], bool)
    per_shard = np.bincount([shard for shard, _, _ in folder.row_groups()], minlength=len(folder.shards))
    first_group = np.cumsum(per_shard) - per_shard
    columns = {
        "bbox": index.bbox,
        "iscrowd": index.iscrowd,
        "keypoints": all_keypoints(folder, joint_set),
        "frame_id": index.frame_id[frame],
        "person": np.arange(len(frame)) - index.first_person[frame],
        "group": first_group[index.shard[frame]] + index.row_group[frame],
        "row": index.row[frame].astype(np.int64),
    }
    return columns, wanted[index.domain[frame]]


def all_keypoints(folder: FramesFolder, name: str | None = None) -> np.ndarray:
    """(P, J, 3) float32 keypoints of all persons in a labelled joint set (None: the first); reads only that column.

    Raises:
        UserError: if the folder does not label that set, or some person has no points of it.
    """
    place = locate_set(folder.info, name or folder.info.joint_set, folder.path)
    if place.further:
        persons = (person for frame in folder.iterate(["frame_id", "persons"]) for person in frame.persons)
        found = [person_keypoints(person, folder.info, place.name) for person in persons]
        return np.stack(found) if found else np.zeros((0, place.count, 3), np.float32)
    parts = []
    for entry in folder.shards:
        path = folder.path / entry.file
        with open_shard(path) as file:
            table = read_columns(file, path, None, [_KEYPOINTS])
        column = table.column("persons").combine_chunks().flatten().field("keypoints")
        parts.append(column.flatten().to_numpy())
    return np.concatenate(parts).reshape(-1, folder.info.joint_count, 3)
