"""Pictures over HTTP: windows, viewports, kinds of file, films, thumbnails, and WADO-URI."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from httpx2._models import Response
from PIL import Image
from pydicom.data import get_testdata_file
from server_support import Running, instances, parts_of, path_of, running, uids

import hounsfield
from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import apply_window, window
from hounsfield.phantom import PhantomSpec, write


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, list[bytes], Volume]]:
    folder = tmp_path_factory.mktemp("phantom")
    spec = PhantomSpec(slices=5, rows=40, columns=48, tags={"WindowCenter": 50, "WindowWidth": 350})
    contents = [path.read_bytes() for path in write(spec, folder)]
    with running(tmp_path_factory.mktemp("archive")) as server:
        server.store(contents)
        yield server, contents, hounsfield.load(folder, clamp=False)


def image(answer: Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def slice_of(scene: tuple[Running, list[bytes], Volume], content: bytes) -> np.ndarray:
    _, _, volume = scene
    return volume.array[volume.uids.index(uids(content)[2])]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "50/350"),
        ("?window=lung", "lung"),
        ("?window=%E8%82%BA%E7%AA%97", "lung"),
        ("?window=40,80,linear", "40/80"),
    ],
)
def test_a_picture_is_the_windowed_slice(
    scene: tuple[Running, list[bytes], Volume], query: str, shown: str
) -> None:
    server, contents, _ = scene
    got = image(server.get(path_of(contents[2]) + "/rendered" + query, "image/png"))
    assert np.array_equal(got, apply_window(slice_of(scene, contents[2]), window(shown)))


@pytest.mark.parametrize(
    ("accept", "kind"), [("image/jpeg", "JPEG"), ("*/*", "JPEG"), ("image/gif", "GIF"), ("image/png", "PNG")]
)
def test_the_kind_is_what_is_accepted(
    scene: tuple[Running, list[bytes], Volume], accept: str, kind: str
) -> None:
    server, contents, _ = scene
    answer = server.get(path_of(contents[0]) + "/rendered", accept)
    assert Image.open(io.BytesIO(answer.content)).format == kind


def test_a_viewport_crops_scales_and_flips(scene: tuple[Running, list[bytes], Volume]) -> None:
    server, contents, _ = scene
    whole = image(server.get(path_of(contents[2]) + "/rendered", "image/png"))
    flipped = image(server.get(path_of(contents[2]) + "/rendered?viewport=48,40,0,0,-48,40", "image/png"))
    assert np.array_equal(flipped, whole[:, ::-1])
    cropped = image(server.get(path_of(contents[2]) + "/rendered?viewport=10,10,5,5,10,10", "image/png"))
    assert np.array_equal(cropped, whole[5:15, 5:15])
    assert image(server.get(path_of(contents[2]) + "/rendered?viewport=24,100", "image/png")).shape == (
        20,
        24,
    )


@pytest.mark.parametrize("query", ["viewport=0,0", "viewport=99999,99999", "viewport=1", "viewport=5,5,90,90,10,10",
                                   "window=1", "window=1,0", "window=x,y", "window=1,2,3", "quality=0", "quality=x",
                                   "nonsense=1", "viewport=nan,nan"])  # fmt: skip
def test_what_makes_no_sense_is_400(scene: tuple[Running, list[bytes], Volume], query: str) -> None:
    server, contents, _ = scene
    assert server.get(f"{path_of(contents[0])}/rendered?{query}").status_code == 400


def test_quality_counts(scene: tuple[Running, list[bytes], Volume]) -> None:
    server, contents, _ = scene
    sizes = [
        len(server.get(f"{path_of(contents[2])}/rendered?quality={q}", "image/jpeg").content) for q in (5, 95)
    ]
    assert sizes[0] < sizes[1]


def test_a_series_comes_in_parts_or_as_a_film_in_the_order_of_the_volume(
    scene: tuple[Running, list[bytes], Volume],
) -> None:
    server, contents, volume = scene
    path = path_of(contents[0], "series") + "/rendered"
    parts = parts_of(server.get(path, 'multipart/related; type="image/png"'))
    shown = window("50/350")
    assert [headers["content-location"].split("/")[-2] for headers, _ in parts] == list(volume.uids)
    for (_, content), plane in zip(parts, volume.array, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), apply_window(plane, shown))
    with av.open(io.BytesIO(server.get(path, "video/mp4").content)) as film:
        assert sum(1 for _ in film.decode(video=0)) == len(contents)  # type: ignore[misc]
    assert Image.open(io.BytesIO(server.get(path, "image/gif").content)).n_frames == len(contents)  # type: ignore[attr-defined]
    middle = image(server.get(path, "image/png"))
    assert np.array_equal(middle, apply_window(volume.array[2], shown))


def test_without_the_extra_a_film_is_a_406_that_names_it_and_what_else_is_accepted_is_made(
    scene: tuple[Running, list[bytes], Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, contents, _ = scene
    monkeypatch.setitem(sys.modules, "av", None)
    path = path_of(contents[0], "series") + "/rendered"
    refused = server.get(path, "video/mp4")
    assert refused.status_code == 406 and "hounsfield[film]" in refused.json()["remedy"]
    assert server.get(path, "video/mp4, image/gif;q=0.5").headers["content-type"] == "image/gif"


def test_thumbnails_are_small(scene: tuple[Running, list[bytes], Volume]) -> None:
    server, contents, _ = scene
    for level in ("study", "series", "instance"):
        assert max(image(server.get(path_of(contents[0], level) + "/thumbnail")).shape) == 128
    assert image(server.get(path_of(contents[0]) + "/thumbnail?viewport=20,20")).shape[1] == 20


def test_frames_are_rendered_by_number(tmp_path: Path) -> None:
    (content,) = instances(multiframe="enhanced", slices=3)
    with running(tmp_path) as server:
        server.store([content])
        one, two = (image(server.get(f"{path_of(content)}/frames/{n}/rendered", "image/png")) for n in (1, 3))
        assert not np.array_equal(one, two)
        assert server.get(f"{path_of(content)}/frames/4/rendered").status_code == 404


@pytest.mark.parametrize(
    "name", ["SC_rgb_rle.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm",
             "examples_rgb_color.dcm", "SC_ybr_full_422_uncompressed.dcm", "examples_jpeg2k.dcm"],
)  # fmt: skip
def test_colour_and_other_images_are_rendered_too(tmp_path: Path, name: str) -> None:
    import pathlib

    content = pathlib.Path(get_testdata_file(name)).read_bytes()  # type: ignore[arg-type]
    with running(tmp_path) as server:
        assert server.store([content]).status_code == 200
        got = image(server.get(path_of(content) + "/rendered", "image/png"))
        assert got.std() > 1


def test_what_has_no_picture_is_406(tmp_path: Path) -> None:
    import pathlib

    content = pathlib.Path(get_testdata_file("rtplan.dcm")).read_bytes()  # type: ignore[arg-type]
    with running(tmp_path) as server:
        server.store([content])
        assert server.get(path_of(content) + "/rendered").status_code == 406


def test_wado_uri_gives_dicom_and_pictures(scene: tuple[Running, list[bytes], Volume]) -> None:
    server, contents, _ = scene
    study, series, instance = uids(contents[0])
    query = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
    assert server.get(f"{query}&contentType=application/dicom&transferSyntax=*").content == contents[0]
    assert Image.open(io.BytesIO(server.get(query).content)).format == "JPEG"
    got = image(server.get(f"{query}&contentType=image/png&windowCenter=-600&windowWidth=1500"))
    assert np.array_equal(got, apply_window(slice_of(scene, contents[0]), window("lung")))
    for bad in (
        "/wado?requestType=WADO",
        query.replace("WADO&", "X&"),
        f"{query}&anonymize=yes",
        f"{query}&windowCenter=1",
        f"{query}&region=0,0,2,1",
        f"{query}&region=0.5,0,0.5,1",
        f"{query}&region=a,b",
    ):
        assert server.get(bad).status_code == 400


def test_wado_uri_gives_a_region(scene: tuple[Running, list[bytes], Volume]) -> None:
    server, contents, _ = scene
    study, series, instance = uids(contents[0])
    query = f"/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}&contentType=image/png"
    whole = image(server.get(query))
    height, width = whole.shape[:2]
    region = image(server.get(f"{query}&region=0.5,0.25,1,0.75"))
    assert np.array_equal(region, whole[height // 4 : 3 * height // 4, width // 2 :])
    assert (
        image(server.get(f"{query}&region=0.5,0.25,1,0.75&columns={width}&rows={height}")).shape
        == whole.shape
    )
