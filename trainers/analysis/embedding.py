"""Features on a plane: t-SNE and UMAP of a bounded sample of a feature file, with a fixed seed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...config import UserError
from .features import matrix, read_features

METHODS = {"tsne": "t-SNE", "umap": "UMAP"}
COMPONENTS = 50  # principal components that are embedded, as van der Maaten & Hinton (JMLR 9, 2008) do
PERPLEXITY, NEIGHBOURS = 30, 15  # t-SNE's and UMAP's usual scale; less for few people
FEWEST = 8


def umap_missing() -> str | None:
    """What to do about UMAP where it is not installed; None where it is."""
    if importlib.util.find_spec("umap") is not None:
        return None
    return "UMAP is not installed: pip install 'sim2pose[analysis]', and write the report again"


def embed(features: np.ndarray, method: str, seed: int = 0) -> np.ndarray:
    """Standardise, reduce to :data:`COMPONENTS` principal components, embed. Distances between clusters mean little.

    Args:
        features: (n, d), n at least :data:`FEWEST`.
        method: ``tsne`` (van der Maaten & Hinton 2008) or ``umap`` (McInnes et al. 2018, arXiv:1802.03426).
        seed: equal seed and features, equal picture.

    Returns:
        (n, 2).

    Raises:
        UserError: for too few rows, or UMAP where it is not installed.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    count, width = features.shape
    if count < FEWEST:
        raise UserError(f"{count} people are too few to embed: {FEWEST} at least")
    scaled = StandardScaler().fit_transform(features)
    reduced = PCA(min(COMPONENTS, width, count - 1), random_state=seed).fit_transform(scaled)
    if method == "umap":
        missing = umap_missing()
        if missing:
            raise UserError(missing)
        import umap

        neighbours = min(NEIGHBOURS, count - 1)
        return np.asarray(umap.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(reduced))
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(PERPLEXITY, (count - 1) / 3)
    with threadpool_limits(
        1
    ):  # its OpenMP threads spin: 27 s in place of 2 where another process holds the second core
        return np.asarray(TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced))


def embed_file(path: Path, method: str, people: int, seed: int = 0) -> Mapping[str, np.ndarray]:
    """(n, 2) by domain: at most ``people`` of each domain of a feature file, embedded together."""
    tables = read_features(path, people)
    points = embed(np.concatenate([matrix(table) for table in tables.values()]), method, seed)
    ends = np.cumsum([len(table) for table in tables.values()])[:-1]
    return dict(zip(tables, np.split(points, ends), strict=True))
