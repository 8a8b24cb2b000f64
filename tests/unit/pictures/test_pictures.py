"""Pictures: exact where they can be, square pixels, words only where asked, files that read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from grids import AFFINES
from numpy.typing import NDArray
from PIL import Image

from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import Window, apply_window, window
from hounsfield.errors import LocationError, OutputExistsError, SelectionError, UnsupportedError
from hounsfield.pictures import (
    Look,
    default_window,
    montage_picture,
    planes_picture,
    projection_picture,
    slice_picture,
    stack,
    write_film,
    write_picture,
)
from hounsfield.pictures.compose import Picture

PLAIN = Look(window("brain"), plain=True)


def head(
    shape: tuple[int, int, int] = (12, 60, 50),
    spacing: tuple[float, float, float] = (2.5, 0.5, 0.5),
    **fields: Any,
) -> Volume:
    """A disc of brain, brighter slice by slice and to the patient's left, in air."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(spacing[::-1]))
    slices, rows, columns = np.indices(shape)
    array = (20 + slices + columns // 2).astype(np.int16)
    array[np.hypot(rows - shape[1] / 2, columns - shape[2] / 2) > min(shape[1:]) / 2] = -1024
    uids = tuple(f"1.2.{index}" for index in range(shape[0]))
    return Volume(array, affine, spacing, uids=uids, **fields)


def pixels(picture: Picture) -> NDArray[Any]:
    return np.asarray(picture.image)


def test_a_plain_slice_is_the_windowed_array_pixel_for_pixel() -> None:
    volume = head()
    for number in range(12):
        picture = slice_picture(volume, number=number, look=PLAIN)
        assert np.array_equal(pixels(picture), apply_window(volume.array[number], window("brain")))


def test_black_and_white_change_places_on_the_display_only() -> None:
    volume = head()
    shown = pixels(slice_picture(volume, look=PLAIN))
    inverted = pixels(slice_picture(volume, look=Look(window("brain"), invert=True, plain=True)))
    assert np.array_equal(inverted, 255 - shown)


@pytest.mark.parametrize(
    ("plane", "high", "wide"), [("axial", 30, 25), ("coronal", 30, 25), ("sagittal", 30, 30)]
)
def test_trap_45_pixels_are_square_in_the_patient(plane: str, high: int, wide: int) -> None:
    """12 slices of 2.5 mm, 60 rows and 50 columns of 0.5 mm: millimetres, not voxels, set the shape."""
    picture = slice_picture(head(), plane=plane, look=PLAIN)
    height, width = pixels(picture).shape
    assert height * picture.scale == pytest.approx(high, abs=0.5)
    assert width * picture.scale == pytest.approx(wide, abs=0.5)


def test_trap_45_row_and_column_spacing_are_not_confused() -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag([0.5, 1.0, 2.0]))
    volume = Volume(np.zeros((3, 40, 40), np.int16), affine, (2.0, 1.0, 0.5))
    assert pixels(slice_picture(volume, look=PLAIN)).shape == (80, 40)


def test_a_window_is_applied_after_interpolation() -> None:
    """Between −1000 and 80 HU half way is −460: black in a brain window, not mid grey."""
    volume = head(shape=(1, 4, 4), spacing=(1.0, 1.0, 1.0))
    volume.array[...] = -1000
    volume.array[:, :, 2:] = 80
    row = pixels(slice_picture(volume, look=Look(window("brain"), plain=True, size=108)))[50]
    # From the middle of one voxel to the next are 27 pixels; only the last two of them are above 0 HU.
    assert ((row > 0) & (row < 255)).sum() <= 2
    assert row[0] == 0
    assert row[-1] == 255


@pytest.mark.parametrize("size", [1, 7, 333, 2000])
def test_the_longest_side_is_what_is_asked(size: int) -> None:
    for make in (slice_picture, planes_picture):
        assert max(make(head(), look=Look(size=size)).image.size) == pytest.approx(size, abs=8)


def test_words_are_drawn_unless_plain() -> None:
    volume = head()
    told = pixels(slice_picture(volume, look=Look(window("brain"), size=512)))
    plain = pixels(slice_picture(volume, look=Look(window("brain"), size=512, plain=True)))
    assert told.shape == plain.shape
    changed = np.argwhere(told != plain)
    assert len(changed) > 500
    height, width = told.shape
    # The middle of the picture, where the patient is, is left alone.
    middle = slice(height // 4, -height // 4), slice(width // 4, -width // 4)
    assert np.array_equal(told[middle], plain[middle])
    for corner in (told[:60, :200], told[-60:, :200], told[-60:, -200:]):
        assert corner.max() > 200


def test_captioned_pictures_are_large_enough_to_read() -> None:
    assert max(slice_picture(head()).image.size) == 512
    assert max(slice_picture(head(shape=(2, 700, 600))).image.size) == 700


def test_a_slice_is_chosen_by_number_position_or_middle() -> None:
    volume = head()
    assert slice_picture(volume, number=3).facts["SOPInstanceUID"] == "1.2.3"
    assert slice_picture(volume, position=25.9).facts["SOPInstanceUID"] == "1.2.10"
    assert slice_picture(volume).facts["SOPInstanceUID"] == "1.2.6"
    with pytest.raises(SelectionError, match=r"no slice 13 \(expected 1 … 12\)"):
        slice_picture(volume, number=12)


def test_a_montage_shows_slices_from_first_to_last_in_order() -> None:
    volume = head()
    picture = montage_picture(volume, 2, 3, look=Look(window("brain"), plain=True, size=3 * 50 + 0))
    canvas = pixels(picture)
    high, wide = (canvas.shape[0] - 2) // 2, (canvas.shape[1] - 4) // 3
    for index, number in enumerate(np.rint(np.linspace(0, 11, 6)).astype(int)):
        top, left = index // 3 * (high + 2), index % 3 * (wide + 2)
        tile = canvas[top : top + high, left : left + wide]
        single = pixels(slice_picture(volume, number=int(number), look=PLAIN))
        assert tile.shape == single.shape
        assert np.array_equal(tile, single)
    assert picture.facts["Montage"] == "2×3"
    assert picture.facts["Positions"].startswith("0.0, 5.0")
    assert "SOPInstanceUID" not in picture.facts


def test_a_montage_of_fewer_slices_than_tiles_leaves_the_rest_black() -> None:
    volume = head(shape=(2, 60, 50))
    canvas = pixels(montage_picture(volume, 2, 2, look=PLAIN))
    assert canvas[: canvas.shape[0] // 2 - 2].max() > 0
    assert canvas[canvas.shape[0] // 2 + 2 :].max() == 0


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (101, 1)])
def test_impossible_montages_are_refused(rows: int, columns: int) -> None:
    with pytest.raises(SelectionError, match="montage"):
        montage_picture(head(), rows, columns)


@pytest.mark.parametrize("grid", AFFINES)
def test_three_planes_stand_side_by_side_at_one_scale(grid: Any) -> None:
    affine = AFFINES[grid]
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    spacing = (abs(affine[:3, 0] @ normal) / np.linalg.norm(normal), 0.48828125, 0.48828125)
    volume = Volume(np.full((20, 50, 40), 40, np.int16), affine, spacing)  # type: ignore[arg-type]
    picture = planes_picture(volume, look=Look(window("brain"), plain=True))
    assert picture.image.width > 2 * 40
    assert picture.facts["Plane"] == "axial, coronal, sagittal"
    assert pixels(picture).max() > 100
    assert planes_picture(volume).image.width >= 1100


def test_mip_and_minip_are_what_their_names_say() -> None:
    volume = head()
    volume.array[5, 30, 25] = 3000
    volume.array[7, 28, 20] = -1000
    look = Look(Window(1000, 4096), plain=True)
    highest = projection_picture(volume, "mip", plane="axial", look=look)
    lowest = projection_picture(volume, "minip", plane="axial", look=look)
    assert np.array_equal(pixels(highest), apply_window(volume.array.max(axis=0), look.window))
    assert np.array_equal(pixels(lowest), apply_window(volume.array.min(axis=0), look.window))
    assert highest.facts["Projection"] == "MIP 30.0 mm"
    slab = projection_picture(volume, "mip", plane="axial", slab=5, number=9, look=look)
    assert np.array_equal(pixels(slab), apply_window(volume.array[8:11].max(axis=0), look.window))


def test_png_tells_window_place_and_instance(tmp_path: Path) -> None:
    volume = head(header={"SeriesInstanceUID": "1.2.3", "PatientName": "Roentgen^Anna"})
    path = write_picture(slice_picture(volume, look=PLAIN), tmp_path / "a.png")
    with Image.open(path) as image:
        assert image.mode == "L"
        assert image.text["Window"] == "center 40, width 80, LINEAR"  # type: ignore[attr-defined]
        assert image.text["Unit"] == "HU"  # type: ignore[attr-defined]
        assert image.text["SOPInstanceUID"] == "1.2.6"  # type: ignore[attr-defined]
        assert image.text["SeriesInstanceUID"] == "1.2.3"  # type: ignore[attr-defined]
        assert image.text["Position"] == "H 15.0 mm"  # type: ignore[attr-defined]
        assert image.info["dpi"] == pytest.approx((25.4 / 0.5,) * 2, rel=1e-3)
        assert np.array_equal(np.asarray(image), apply_window(volume.array[6], window("brain")))
    assert b"Roentgen" not in path.read_bytes()


def test_jpeg_quality_is_a_choice(tmp_path: Path) -> None:
    picture = slice_picture(head(), look=Look(window("brain")))
    sizes = [write_picture(picture, tmp_path / f"{q}.jpg", quality=q).stat().st_size for q in (20, 92)]
    assert sizes[0] < sizes[1]
    with Image.open(tmp_path / "92.jpg") as image:
        assert image.format == "JPEG"
        assert image.mode == "L"
        assert b"center 40, width 80" in image.info["comment"]
        assert np.abs(np.asarray(image, float) - pixels(picture)).mean() < 3
    with pytest.raises(SelectionError, match="quality"):
        write_picture(picture, tmp_path / "0.jpg", quality=0)


def test_pictures_are_replaced_only_by_force(tmp_path: Path) -> None:
    picture = slice_picture(head())
    write_picture(picture, tmp_path / "a.png")
    with pytest.raises(OutputExistsError):
        write_picture(picture, tmp_path / "a.png")
    write_picture(picture, tmp_path / "a.png", force=True)
    with pytest.raises(UnsupportedError, match=r"'\.bmp'.*\.png, \.jpg, \.jpeg"):
        write_picture(picture, tmp_path / "a.bmp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("shape", [(12, 60, 50), (5, 61, 53)])
def test_a_film_shows_every_slice_in_order(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    volume = head(shape=shape)
    look = Look(Window(50, 100), plain=True)
    path = write_film(volume, tmp_path / "f.mp4", fps=8, look=look)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 8
        assert (stream.width % 2, stream.height % 2) == (0, 0)
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
        assert "width 100" in container.metadata["comment"]
    assert len(frames) == shape[0]
    for number, frame in enumerate(frames):
        still = pixels(slice_picture(volume, number=number, look=look)).astype(float)
        part = frame[: still.shape[0], : still.shape[1]].astype(float)
        assert np.abs(part - still).mean() < 4


def test_a_film_through_a_tilted_volume_follows_the_patient(tmp_path: Path) -> None:
    affine = AFFINES["tilted"]
    volume = Volume(
        np.full((8, 24, 20), 40, np.int16), affine, (2.5 * np.cos(np.radians(18.5)), 0.48828125, 0.48828125)
    )
    write_film(volume, tmp_path / "f.mp4", plane="coronal", look=Look(size=96))
    with av.open(str(tmp_path / "f.mp4")) as container:
        assert len(list(container.decode(video=0))) == len(stack(volume, "coronal").positions)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write")
def test_a_film_that_cannot_be_written_says_where() -> None:
    with pytest.raises(LocationError, match=r"f\.mp4: cannot be written"):
        write_film(head(), "/proc/f.mp4")


def test_impossible_films_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="not MP4"):
        write_film(head(), tmp_path / "f.avi")
    with pytest.raises(SelectionError, match="a second"):
        write_film(head(), tmp_path / "f.mp4", fps=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, -3, 10_000])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(SelectionError, match="size"):
        Look(size=size)


@pytest.mark.parametrize(
    ("part", "preset"), [("HEAD", "brain"), ("chest ", "lung"), ("", "soft-tissue"), (None, "soft-tissue")]
)
def test_the_first_window_suits_the_body_part(part: str | None, preset: str) -> None:
    assert default_window(head(header={"BodyPartExamined": part})) == window(preset)


def test_trap_22_maps_in_other_units_are_shown_whole() -> None:
    volume = head()
    volume.array[...] = np.linspace(5, 15, volume.array.size).reshape(volume.shape)
    shown = default_window(Volume(volume.array, volume.affine, volume.spacing, "Z_EFF"))
    assert shown.center == pytest.approx(9.5, abs=0.6)
    assert 8 <= shown.width <= 10
    told = slice_picture(Volume(volume.array, volume.affine, volume.spacing, "Z_EFF"))
    assert told.facts["Unit"] == "Z_EFF"


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (3, 1, 5), (2, 3, 2)])
def test_the_smallest_volumes_have_pictures(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    volume = head(shape=shape)
    for number, picture in enumerate(
        (
            slice_picture(volume),
            montage_picture(volume, 2, 2),
            planes_picture(volume),
            projection_picture(volume, "mip"),
        )
    ):
        write_picture(picture, tmp_path / f"{number}.png")
    write_film(volume, tmp_path / "f.mp4")


def test_trap_34_a_real_tilted_head_is_as_wide_in_every_plane(tmp_path: Path, real_data: Path) -> None:
    """The skull's width is the same wherever the slices lean, to the pixel and a slice's step."""
    from hounsfield import load

    volume = load(real_data / "philips_phantom" / "S21610")
    widths = []
    for plane in ("axial", "coronal"):
        cut = projection_picture(volume, "mip", plane=plane, look=Look(Window(700, 400), plain=True))
        columns = np.flatnonzero((pixels(cut) > 128).any(axis=0))
        widths.append((columns[-1] - columns[0]) * cut.scale)
    assert widths[0] == pytest.approx(widths[1], abs=1.5)
    assert 120 < widths[0] < 180
    write_film(volume, tmp_path / "f.mp4", look=Look(size=128))
    with av.open(str(tmp_path / "f.mp4")) as container:
        assert len(list(container.decode(video=0))) == 54
