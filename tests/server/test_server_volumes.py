"""A series as Hounsfield units over HTTP: the same values and places that `hounsfield.load` has."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from phase_series import setting, stack, written
from server_support import Running, instances, path_of, running

import hounsfield
from hounsfield.ct.volume import Volume
from hounsfield.errors import MalformedError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.server.routes.slice_records import records


@pytest.fixture(scope="module")
def tilted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str, Volume]]:
    folder = tmp_path_factory.mktemp("tilted")
    paths = write(PhantomSpec(slices=6, rows=40, columns=48, tilt=12.0, order="shuffled"), folder)
    with running(tmp_path_factory.mktemp("archive")) as server:
        contents = [path.read_bytes() for path in paths]
        assert server.store(contents).status_code == 200
        yield server, path_of(contents[0], "series"), hounsfield.load(folder)


def test_info_says_where_every_voxel_lies(tilted: tuple[Running, str, Volume]) -> None:
    server, path, volume = tilted
    info = server.get(f"{path}/info").json()
    assert info["shape"] == list(volume.shape)
    assert np.allclose(info["affine"], volume.affine, atol=1e-9)
    assert np.allclose(info["spacing"], volume.spacing)
    assert [each["uid"] for each in info["slices"]] == list(volume.uids)
    assert (info["unit"], info["verdict"]) == ("HU", "sheared")
    assert info["slices"][0]["slope"] == 1.0 and info["slices"][0]["intercept"] == -1024.0
    assert info["report"]["verdict"] == "sheared"


def test_the_verdict_of_physics_is_that_of_the_volume(tilted: tuple[Running, str, Volume]) -> None:
    server, path, volume = tilted
    answer = server.get(f"{path}/plausibility")
    told = answer.json()
    assert told["plausibility"] == volume.report.plausibility.to_json()
    counts = told["histogram"]["counts"]
    first, step = told["histogram"]["first"], told["histogram"]["step"]
    assert sum(counts[(-1000 - first) // step - 1 : (-1000 - first) // step + 2]) > 0.2 * sum(counts)
    assert server.get(f"{path}/plausibility", **{"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert server.http.get(f"{path}/plausibility?phase=7").status_code in (400, 404, 422)


def test_another_unit_has_no_verdict_of_physics(tmp_path: Path) -> None:
    paths = write(PhantomSpec(slices=2, rows=16, columns=16, rescale_type="Z_EFF"), tmp_path / "z")
    with running(tmp_path / "archive") as server:
        content = paths[0].read_bytes()
        server.store([content])
        told = server.get(f"{path_of(content, 'series')}/plausibility").json()
        assert told == {"plausibility": None, "histogram": None}


def _records(content: bytes) -> Iterator[tuple[Any, Any, Any, list[Any]]]:
    """(index, status, body, counts) of each record; each body has the CRC-32 that its head says."""
    while content:
        index, status, length, crc, *counts = struct.unpack_from("<8I", content)
        body = content[32 : 32 + length]
        assert len(body) == length and zlib.crc32(body) == crc
        yield index, status, body, counts
        content = content[32 + length :]


@pytest.mark.parametrize("query", ["", "?encoding=gzip"])
def test_all_slices_come_in_one_response_from_the_middle_outwards(
    tilted: tuple[Running, str, Volume], query: str
) -> None:
    server, path, volume = tilted
    answer = server.get(f"{path}/slices{query}")
    assert answer.headers.get("content-encoding") == ("gzip" if query else None)
    found = list(_records(answer.content))
    assert [index for index, *_ in found] == [3, 4, 2, 5, 1, 0]
    for index, status, body, counts in found:
        assert status == 200
        assert np.array_equal(np.frombuffer(body, "<i2").reshape(40, 48), volume.array[index])
        alone = server.get(f"{path}/slices/{index}").headers["x-counts"]
        assert [int(pair.partition("=")[2]) for pair in alone.split(",")] == counts


def test_a_response_of_slices_begins_where_it_is_asked_to_and_ends_after_so_many(
    tilted: tuple[Running, str, Volume],
) -> None:
    server, path, _ = tilted
    content = server.get(f"{path}/slices?from=5&most=3").content
    assert [index for index, *_ in _records(content)] == [5, 4, 3]
    assert server.http.get(f"{path}/slices?encoding=brotli").status_code == 400
    assert server.http.get(f"{path}/slices?from=-1").status_code == 400


def test_a_slice_that_fails_is_a_record_with_its_reason_and_stops_no_other() -> None:
    def make(index: Any) -> tuple[NDArray[Any], tuple[Any, int, int, int]]:
        if index == 2:
            raise MalformedError("not a codestream", where="/somewhere/private.dcm")
        return np.full((2, 3), index, np.int16), (index, 0, 0, 0)

    found = {index: (status, body) for index, status, body, _ in _records(b"".join(records(range(5), make)))}
    assert found[2] == (422, b"not a codestream")
    assert {index: status for index, (status, _) in found.items() if index != 2} == dict.fromkeys(
        (0, 1, 3, 4), 200
    )
    assert np.frombuffer(found[4][1], "<i2").tolist() == [4] * 6


def test_slices_are_those_of_the_volume(tilted: tuple[Running, str, Volume]) -> None:
    server, path, volume = tilted
    for number in range(volume.shape[0]):
        answer = server.get(f"{path}/slices/{number}")
        values = np.frombuffer(answer.content, "<i2").reshape(volume.shape[1:])
        assert np.array_equal(values, volume.array[number])
        assert answer.headers["x-crc32"] == f"{zlib.crc32(answer.content):08x}"


def test_slices_may_be_filtered_and_compressed(tilted: tuple[Running, str, Volume]) -> None:
    server, path, volume = tilted
    answer = server.http.get(f"{path}/slices/2?filter=delta&encoding=gzip")
    assert answer.headers["content-encoding"] == "gzip"
    deltas = np.frombuffer(answer.content, "<i2").reshape(volume.shape[1:]).copy()
    deltas[:, 0] = np.cumsum(deltas[:, 0], dtype=np.int16)
    assert np.array_equal(np.cumsum(deltas, axis=1, dtype=np.int16), volume.array[2])
    assert answer.headers["x-crc32"] == f"{zlib.crc32(volume.array[2].tobytes()):08x}"


def test_volumes_come_as_files(tilted: tuple[Running, str, Volume], tmp_path: Path) -> None:
    server, path, volume = tilted
    file = tmp_path / "v.nii.gz"
    file.write_bytes(server.get(f"{path}/volume?format=nifti").content)
    image = nibabel.load(file)
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), volume.array)
    npy = tmp_path / "v.npy"
    npy.write_bytes(server.get(f"{path}/volume?format=npy").content)
    assert np.array_equal(np.load(npy), volume.array)


@pytest.mark.parametrize(
    "query", ["volume?format=stl", "slices/x", "slices/99", "info?part=7", "info?phase=-1", "info?nonsense=1"]
)
def test_what_cannot_be_is_refused_in_words(tilted: tuple[Running, str, Volume], query: str) -> None:
    server, path, _ = tilted
    answer = server.get(f"{path}/{query}")
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]


def test_a_series_with_a_gap_is_shown_slice_by_slice_and_refused_as_a_volume(tmp_path: Path) -> None:
    contents = instances(slices=6, missing=(3,))
    with running(tmp_path) as server:
        server.store(contents)
        path = path_of(contents[0], "series")
        info = server.get(f"{path}/info").json()
        assert (info["verdict"], info["shape"][0], info["missing"]) == ("gaps", 5, [3])
        assert server.get(f"{path}/slices/4").status_code == 200
        refused = server.get(f"{path}/volume")
        assert refused.status_code == 409 and "gaps" in refused.json()["error"]
        assert server.get(f"{path}/volume?gaps=fill&format=npy").status_code == 200


def test_info_follows_what_is_stored(tmp_path: Path) -> None:
    contents = instances(slices=4)
    with running(tmp_path) as server:
        server.store(contents[:2])
        path = path_of(contents[0], "series")
        first = server.get(f"{path}/info")
        server.store(contents[2:])
        later = server.get(f"{path}/info", **{"If-None-Match": first.headers["etag"]})
        assert (first.json()["shape"][0], later.json()["shape"][0]) == (2, 4)


def test_what_holds_no_hounsfield_units_says_why(tmp_path: Path) -> None:
    import io

    import pydicom
    from pydicom.data import get_testdata_file

    found = pydicom.dcmread(get_testdata_file("SC_rgb_rle.dcm"))  # type: ignore[arg-type]
    stream = io.BytesIO()
    found.save_as(stream)
    with running(tmp_path) as server:
        server.store([stream.getvalue()])
        info = server.get(path_of(stream.getvalue(), "series") + "/info").json()
        assert info["shape"] is None and "colour" in info["reason"]


def stored(server: Running, folder: Path) -> str:
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    assert server.store(contents).status_code == 200
    return path_of(contents[0], "series")


def test_phases_have_names_with_their_keys_and_values_of_their_own(tmp_path: Path) -> None:
    kernels = ({"ConvolutionKernel": "A"}, {"ConvolutionKernel": "B"})
    written(tmp_path / "ct", *((stack(seed), setting(**kind)) for seed, kind in enumerate(kernels)))
    with running(tmp_path / "archive") as server:
        path = stored(server, tmp_path / "ct")
        info = server.get(f"{path}/info?phase=1").json()
        (part,) = info["parts"]
        assert part["phases"] == ["kernel A", "kernel B"]
        assert part["phase_names"] == [["kernel A"], ["kernel B"]]
        assert info["reasons"]["kernel B"] == {"key": "phase-kernel", "values": {"value": "B"}}
        expected = hounsfield.load(tmp_path / "ct", phase=1)
        values = np.frombuffer(server.get(f"{path}/slices/2?phase=1").content, "<i2")
        assert np.array_equal(values.reshape(expected.shape[1:]), expected.array[2])


@pytest.mark.parametrize(("others", "warned"), [(1, False), (2, True)])
def test_slices_left_out_are_a_warning_beyond_a_small_share(
    others: int, warned: bool, tmp_path: Path
) -> None:
    def change(dataset: Any) -> None:
        if dataset.InstanceNumber > 20:
            dataset.PixelSpacing = [9.0, 9.0]

    written(tmp_path / "ct", (stack(0, slices=20 + others), change))
    with running(tmp_path / "archive") as server:
        info = server.get(f"{stored(server, tmp_path / 'ct')}/info").json()
    told = f"{others} of the series left out: another Pixel Spacing than the volume's"
    assert (told in info["report"]["warnings"]) is warned
    assert info["left_out"] == [{"reason": "another Pixel Spacing than the volume's"}]


def test_maps_of_another_unit_say_that_they_are_shown_as_whole_numbers(tmp_path: Path) -> None:
    told = "values are shown here as whole numbers; the volume as a file keeps their fractions"
    spec: dict[str, Any] = {"slices": 2, "rows": 8, "columns": 8, "rescale_type": "Z_EFF", "padding": None}
    for number, (slope, is_told) in enumerate(((0.01, True), (2.0, False))):
        paths = write(PhantomSpec(slope=slope, seed=number, **spec), tmp_path / str(number))
        contents = [path.read_bytes() for path in paths]
        with running(tmp_path / f"archive{number}") as server:
            assert server.store(contents).status_code == 200
            path = path_of(contents[0], "series")
            assert (told in server.get(f"{path}/info").json()["report"]["warnings"]) == is_told
            file = tmp_path / f"{number}.nii.gz"
            file.write_bytes(server.get(f"{path}/volume?format=nifti").content)
            assert nibabel.load(file).get_data_dtype() == np.float32


def test_describing_a_series_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hounsfield.ct.instance import Instance

    paths = write(PhantomSpec(slices=2, rows=8, columns=8, transfer_syntax="jpeg2000"), tmp_path / "ct")
    contents = [path.read_bytes() for path in paths]
    with running(tmp_path / "archive") as server:
        assert server.store(contents).status_code == 200
        read = []
        monkeypatch.setattr(Instance, "_encoded", lambda self, *given, **named: read.append(self) or b"")  # type: ignore[func-returns-value]
        info = server.get(f"{path_of(contents[0], 'series')}/info").json()
        assert info["slices"][0]["stored"]["signed"] is True
        assert info["slices"][0]["padding"] == [-2000, -2000]
        assert read == []
