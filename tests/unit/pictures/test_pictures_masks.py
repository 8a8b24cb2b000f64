"""Masks upon pictures: every pixel probed against the label array, on the stack and on planes, also under tilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from mask_objects import blobs, write_ct
from PIL import Image

import hounsfield
from hounsfield.cli import main
from hounsfield.pictures import Look, default_window, montage_picture, planes_picture, slice_picture, stack
from hounsfield.segmentation import Masks, Segment
from hounsfield.verbs.masks import overlays
from hounsfield.verbs.masks_writing import rewrite_masks

SQUARE = {"rows": 40, "columns": 40}
"""A voxel of these is a pixel of the picture."""
RED, BLUE = (200, 30, 90), (0, 90, 255)


def _masks(volume: hounsfield.Volume, *, overlapping: bool = False) -> Masks:
    truth = blobs(volume.shape, 2, overlapping=overlapping)
    segments = (
        Segment(3, "liver", 0, colour=RED, algorithm="MANUAL"),
        Segment(7, "spleen", int(overlapping), colour=BLUE, algorithm="MANUAL"),
    )
    layers = tuple((each * number).astype(np.uint8) for each, number in zip(truth, (3, 7), strict=True))
    joined = layers if overlapping else (np.where(layers[0] > 0, layers[0], layers[1]),)
    return Masks(joined, segments, volume.affine, "test")


def _look(volume: hounsfield.Volume, found: Masks, **how: Any) -> tuple[Look, Look]:
    """With the masks, and without."""
    window = default_window(volume)
    return Look(window, plain=True, overlays=overlays([found], **how)), Look(window, plain=True)


@pytest.mark.parametrize("tilt", [0.0, -18.5])
def test_fills_of_a_slice_are_the_label_array(tilt: float, tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", tilt=tilt, **SQUARE)
    volume = hounsfield.load(tmp_path / "ct")
    found = _masks(volume)
    with_masks, without = _look(volume, found, opacity=0.5, outlined=False)
    for number in range(volume.shape[0]):
        picture = np.asarray(slice_picture(volume, number=number, look=with_masks).image, int)
        plain = np.asarray(slice_picture(volume, number=number, look=without).image, int)
        for label, colour in ((3, RED), (7, BLUE), (0, None)):
            inside = found.labels[number] == label
            grey = np.repeat(plain[inside][:, None], 3, axis=1)
            expected = grey if colour is None else (grey + np.array(colour)) / 2
            assert np.abs(picture[inside] - expected).max(initial=0) <= 0.5


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize(
    "spec", [{}, {"tilt": -18.5}, {"orientation": (0.8, 0.6, 0.0, -0.36, 0.48, -0.8)}], ids=str
)
def test_planes_show_the_voxel_at_each_place(spec: dict[str, Any], plane: str, tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", **spec)
    volume = hounsfield.load(tmp_path / "ct")
    found = _masks(volume)
    (overlay,) = overlays([found])
    planes = stack(volume, plane)
    cut = planes.cut(len(planes.positions) * 2 // 5)
    labels = overlay.on(cut)
    assert labels.any()
    inverse = np.linalg.inv(volume.affine)
    rng = np.random.default_rng(3)
    for row, column in rng.integers(0, labels.shape, (200, 2)).tolist():
        at = cut.corner + cut.steps @ np.array([row, column])
        place = (inverse @ np.array([*at, 1.0]))[:3]
        if np.abs(place % 1 - 0.5).min() < 1e-6:
            continue  # upon an edge between two voxels
        voxel = np.rint(place).astype(int)
        is_inside = bool(((voxel >= 0) & (voxel < volume.shape)).all())
        assert labels[row, column] == (found.labels[tuple(voxel)] if is_inside else 0)


def test_outlines_are_the_edge_and_nothing_else(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", **SQUARE)
    volume = hounsfield.load(tmp_path / "ct")
    found = _masks(volume)
    with_masks, without = _look(volume, found, opacity=0.0)
    picture = np.asarray(slice_picture(volume, number=3, look=with_masks).image)
    plain = np.asarray(slice_picture(volume, number=3, look=without).image)
    labels = np.pad(found.labels[3], 1)
    middle = labels[1:-1, 1:-1]
    edge = (middle > 0) & (
        (middle != labels[:-2, 1:-1])
        | (middle != labels[2:, 1:-1])
        | (middle != labels[1:-1, :-2])
        | (middle != labels[1:-1, 2:])
    )
    assert edge.sum() > 20
    assert (picture[edge & (middle == 3)] == RED).all()
    assert (picture[edge & (middle == 7)] == BLUE).all()
    assert (picture[~edge] == plain[~edge][:, None]).all()


def test_segments_that_overlap_are_drawn_one_upon_the_other(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", **SQUARE)
    volume = hounsfield.load(tmp_path / "ct")
    found = _masks(volume, overlapping=True)
    with_masks, _ = _look(volume, found, opacity=1.0, outlined=False)
    picture = np.asarray(slice_picture(volume, number=3, look=with_masks).image)
    both = found.mask(3)[3] & found.mask(7)[3]
    assert both.any()
    assert (picture[both] == BLUE).all()
    assert (picture[found.mask(3)[3] & ~both] == RED).all()


def test_legends_name_what_is_seen(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", rows=96, columns=96)
    volume = hounsfield.load(tmp_path / "ct")
    many = Masks(
        (np.indices(volume.shape)[2].astype(np.uint8),),
        tuple(Segment(number, f"肝 {number}") for number in range(1, 96)),
        volume.affine,
    )
    look = Look(overlays=overlays([many], opacity=0.2, outlined=False))
    bare = Look(overlays=overlays([many], opacity=0.2, outlined=False), plain=True, size=512)
    for make in (slice_picture, planes_picture):
        picture = make(volume, look=look)
        assert picture.image.mode == "RGB"
        assert picture.facts["Segments"].startswith("肝 1 #e41a1c, 肝 2 #377eb8")
    with_words = np.asarray(slice_picture(volume, look=look).image, int)
    differs = np.abs(with_words - np.asarray(slice_picture(volume, look=bare).image, int)).max(axis=2) > 60
    assert differs[:200, 400:].sum() > 500
    assert montage_picture(volume, 2, 2, look=look).image.mode == "RGB"


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["image", *map(str, arguments)])


@pytest.mark.parametrize(
    "options",
    [
        ("--slice", "3"),
        ("--planes",),
        ("--montage", "2x3", "--mask-as", "outlines"),
        ("--plane", "sagittal", "--opacity", "1"),
    ],
)
def test_the_command_draws_masks(options: tuple[str, ...], tmp_path: Path) -> None:
    write_ct(tmp_path / "ct", tilt=-18.5)
    series = hounsfield.scan(tmp_path / "ct").choose()
    rewrite_masks(_masks(series.load()), tmp_path / "seg.dcm", series, "seg")
    told = _run(tmp_path / "ct", tmp_path / "a.png", "--mask", tmp_path / "seg.dcm", *options, "--json")
    assert told.exit_code == 0, told.output
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image, int)
        assert "liver #c81e5a" in image.text["Segments"]  # type: ignore[attr-defined]
    reddish = (pixels[..., 0] - pixels[..., 1] > 40) & (pixels[..., 2] > pixels[..., 1])
    assert reddish.sum() > 30


def test_films_are_in_colour_and_odd_combinations_are_refused(tmp_path: Path) -> None:
    write_ct(tmp_path / "ct")
    series = hounsfield.scan(tmp_path / "ct").choose()
    rewrite_masks(_masks(series.load()), tmp_path / "seg.dcm", series, "seg")
    film = tmp_path / "a.mp4"
    assert _run(tmp_path / "ct", film, "--mask", tmp_path / "seg.dcm", "--opacity", "1").exit_code == 0
    import av

    with av.open(str(film)) as container:
        frame = list(container.decode(video=0))[3].to_ndarray(format="rgb24").astype(int)
    assert ((frame[..., 2] - frame[..., 0]) > 100).sum() > 100
    for odd in (("--mip",), ("--mask-as", "outlines", "--opacity", "0.5")):
        result = _run(tmp_path / "ct", tmp_path / "b.png", "--mask", tmp_path / "seg.dcm", *odd)
        assert result.exit_code == 2
    assert not (tmp_path / "b.png").exists()


def test_a_folder_of_pictures_has_each_series_with_its_own_masks(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_ct(tmp_path / "study" / name, series_number=ord(name))
    for number, series in enumerate(hounsfield.scan(tmp_path / "study").series):
        rewrite_masks(_masks(series.load()), tmp_path / f"study/{number}.dcm", series, "seg")
    arguments = (
        tmp_path / "study",
        tmp_path / "out",
        "--mask",
        tmp_path / "study",
        "--workers",
        "1",
        "--json",
    )
    rows = json.loads(_run(*arguments).stdout)["pictures"]
    assert [row["status"] for row in rows] == ["made", "made"]
    for row in rows:
        with Image.open(row["output"]) as image:
            assert image.mode == "RGB"
    assert all(row["kept"] for row in json.loads(_run(*arguments).stdout)["pictures"])
