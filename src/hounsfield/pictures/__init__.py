"""Volumes → pictures for people: windowed planes, projections, montages and films, in PNG, JPEG and MP4.

For eyes, not for measuring: a picture's values are display values. Nothing drawn names the patient; the files
carry the window and the UIDs as text.
"""

from hounsfield.pictures.compose import (
    Picture,
    montage_picture,
    planes_picture,
    projection_picture,
    slice_picture,
)
from hounsfield.pictures.drawing import Look, default_window
from hounsfield.pictures.files import FILM_SUFFIXES, PICTURE_SUFFIXES, write_film, write_picture
from hounsfield.pictures.overlays import OPACITY, Overlay
from hounsfield.pictures.planes import Cut, Plane, acquired_plane, nearest, stack

__all__ = [
    "FILM_SUFFIXES",
    "OPACITY",
    "PICTURE_SUFFIXES",
    "Cut",
    "Look",
    "Overlay",
    "Picture",
    "Plane",
    "acquired_plane",
    "default_window",
    "montage_picture",
    "nearest",
    "planes_picture",
    "projection_picture",
    "slice_picture",
    "stack",
    "write_film",
    "write_picture",
]
