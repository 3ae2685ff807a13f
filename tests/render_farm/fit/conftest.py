import numpy as np
import pytest
import torch

from sim2pose.datasets.keypoint_files import PersonKeypoints
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.body import Body
from sim2pose.models.geometry import camera_matrix, project

TRUE_FOCAL = 700.0


@pytest.fixture(scope="session")
def infant() -> Body:
    return load_body("open-infant")


@pytest.fixture(scope="session")
def precise(infant: Body) -> Body:
    return infant.to(dtype=torch.float64)


class Scene:
    """Infants of the library's kind of pose before a camera, and their keypoints."""

    def __init__(self, body: Body, poses: np.ndarray, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        count = len(poses)
        self.pose = np.concatenate([self._facing(rng, count)[:, None], poses.reshape(count, -1, 3)], 1)
        self.betas = 0.5 * rng.standard_normal((count, body.num_betas))
        self.transl = np.array([0.0, 0.0, 1.1]) + 0.05 * rng.standard_normal((count, 3))
        self.K = np.broadcast_to(camera_matrix(TRUE_FOCAL, 640, 480), (count, 3, 3))
        tensors = (torch.as_tensor(x, dtype=torch.float32) for x in (self.betas, self.pose, self.transl))
        self.output = body(*tensors)
        self.joints = self.output.joints.double().numpy()

    @staticmethod
    def _facing(rng: np.random.Generator, count: int) -> np.ndarray:
        """Global orientations near that of a body that faces the camera, head up (pi about x)."""
        from scipy.spatial.transform import Rotation

        spin = Rotation.from_rotvec(0.4 * rng.standard_normal((count, 3)))
        return (Rotation.from_rotvec([np.pi, 0, 0]) * spin).as_rotvec()

    def people(self, body: Body, name: str = "coco17", noise: float = 0.0, seed: int = 0) -> list[PersonKeypoints]:
        points = body.points(self.output, name).double().numpy()
        pixels = np.stack([project(one, k) for one, k in zip(points, self.K, strict=True)])
        pixels += noise * np.random.default_rng(seed).standard_normal(pixels.shape)
        keypoints = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], -1)
        return [PersonKeypoints(f"p{k}", name, rows, 640, 480) for k, rows in enumerate(keypoints)]


@pytest.fixture(scope="session")
def scene(infant: Body) -> Scene:
    from sim2pose.render_farm.fit.priors import own_prior

    exemplars = own_prior(infant).exemplars
    assert exemplars is not None
    return Scene(infant, exemplars[:12])
