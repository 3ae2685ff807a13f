"""Pictures for people: dressed bodies in a studio, motion as strips and videos, fits over their photographs."""

from __future__ import annotations

from .draw import draw_bodies, draw_people
from .dressing import Dress, dress_plainly
from .fits import FitItem, fit_sheet
from .media import captioned, labelled, strip, write_gif, write_mp4, write_picture, write_video
from .motion import motion_strip, motion_video, pose_body
from .overlay import overlay
from .show import show_body
from .views import VIEWS, frame_points

__all__ = [
    "VIEWS",
    "Dress",
    "FitItem",
    "captioned",
    "draw_bodies",
    "draw_people",
    "dress_plainly",
    "fit_sheet",
    "frame_points",
    "labelled",
    "motion_strip",
    "motion_video",
    "overlay",
    "pose_body",
    "show_body",
    "strip",
    "write_gif",
    "write_mp4",
    "write_picture",
    "write_video",
]
