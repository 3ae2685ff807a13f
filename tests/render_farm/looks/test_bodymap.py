"""Bodies that cannot be dressed are refused by name."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.render_farm.looks.bodymap import build_body_map


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("uv", np.zeros((0, 2), np.float32), "has no texture coordinates"),
        ("uv", np.zeros((9, 2), np.float32), "do not fit its faces"),
        ("keypoint_regressor", torch.zeros(17, 6890), "keypoint regressor is .17, 6890."),
    ],
)
def test_uvs_and_regressors_of_another_mesh_are_refused(field: str, value: Any, message: str) -> None:
    body = copy.copy(load_body("open-infant"))
    object.__setattr__(body, field, value)
    with pytest.raises(UserError, match=message) as raised:
        build_body_map(body, 64)
    assert "open-infant" in str(raised.value)
