"""URLs of studies, series, instances, frames: read, written, walked, and nothing else taken for one."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.dicomweb.resources import COLLECTIONS, RENDITIONS, Resource, parse_frames
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import DicomwebError

BASE = "https://host:8080/a/series/dicom-web"
uids = st.lists(st.integers(0, 99999), min_size=1, max_size=8).map(lambda parts: ".".join(map(str, parts)))


@st.composite
def resources(draw: Any) -> Resource:
    depth = draw(st.integers(0, 4))
    chain = [draw(uids) for _ in range(min(depth, 3))]
    frames = tuple(draw(st.lists(st.integers(1, 9999), min_size=1, max_size=5))) if depth == 4 else ()
    resource = Resource(BASE, *chain, *([None] * (3 - len(chain))), frames)  # type: ignore[call-arg]
    forms: list[Any] = [{}]
    forms += [{"collection": name} for name in COLLECTIONS if depth < 3 and COLLECTIONS.index(name) >= depth]
    forms += [
        {"rendition": name}
        for name in RENDITIONS
        if depth and (depth < 4 or name in {"rendered", "thumbnail"})
    ]
    form = draw(st.sampled_from(forms))
    if form.get("rendition") == "bulkdata":
        form = {**form, "reference": draw(st.sampled_from(["", "7FE00010", "00400275/0/a b;c"]))}
    return Resource(BASE, resource.study, resource.series, resource.instance, resource.frames, **form)


@given(resources())
def test_every_resource_is_read_back_from_its_url(resource: Resource) -> None:
    assert Resource.parse(resource.url) == resource


@given(resources())
def test_walking_up_ends_at_the_service(resource: Resource) -> None:
    above = list(resource.ancestors())
    assert len(above) == ["service", "study", "series", "instance", "frames"].index(resource.level)
    assert all(resource.below(each) for each in above)
    if above:
        assert above[-1] == Resource(BASE)


@pytest.mark.parametrize(
    ("url", "level", "path"),
    [
        ("http://h", "service", ""),
        ("http://h/dicom-web/", "service", ""),
        ("HTTP://h/dicom-web/studies/", "service", "studies"),
        ("http://h/d/studies/1.2/", "study", "studies/1.2"),
        ("http://h/d/studies/1.2/series/3/instances/4.5/frames/1,%203", "frames",
         "studies/1.2/series/3/instances/4.5/frames/1,3"),
        ("http://h/d/studies/1.2/metadata", "study", "studies/1.2/metadata"),
        ("http://h/d/series", "service", "series"),
        ("http://h/d/studies/1.2/instances", "study", "studies/1.2/instances"),
    ],
)  # fmt: skip
def test_urls_of_peers_are_read(url: str, level: str, path: str) -> None:
    resource = Resource.parse(url)
    assert (resource.level, resource.path) == (level, path)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/studies/1", "//h/studies", "studies/1.2", "http://", "http://[::1", "http://h/d/studies/abc",
        "http://h/d/studies/1..2", "http://h/d/studies/1.2/series/x", "http://h/d/studies/%2e%2e/series",
        "http://h/d/../studies/1", "http://h/d/studies/1?limit=1", "http://h/d/studies/1#x",
        "http://h/d/studies/1/series/2/instances/3/frames/0", "http://h/d/studies/1/series/2/instances/3/frames/a",
        "http://h/d/studies/1/frames/1", "http://h/d/studies/" + "1" * 65, "http://h/d/studies/1/studies",
        "http://h/d/studies/1/metadata/2", "http://h/studies/dicom-web",
    ],
)  # fmt: skip
def test_what_is_no_resource_is_refused(url: str) -> None:
    with pytest.raises(DicomwebError):
        Resource.parse(url)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    for url in ("http://user:secret@h/studies/1", "ftp://user:secret@h/"):
        with pytest.raises(DicomwebError) as caught:
            Resource.parse(url)
        assert "secret" not in str(caught.value) + repr(caught.value)


@given(st.text(max_size=100))
def test_any_text_is_a_resource_or_our_error(text: str) -> None:
    for url in (text, "http://h/studies/" + text):
        with contextlib.suppress(DicomwebError):
            Resource.parse(url)


def test_levels_that_skip_one_cannot_be_built() -> None:
    for parts in ({"series": "1"}, {"study": "1", "instance": "2"}, {"study": "1", "frames": (1,)}):
        with pytest.raises(DicomwebError):
            Resource(BASE, **parts)


def test_frames_keep_their_order() -> None:
    assert parse_frames("3,1, 2") == (3, 1, 2)
    with pytest.raises(DicomwebError):
        parse_frames("1," * 200_000 + "1")


def test_a_uid_is_one_safe_segment() -> None:
    assert is_uid("1.2.840.00001")
    for text in ("", ".", "..", "1.", ".1", "1/2", "1 2", "١.٢", "1" * 65, "1\n"):
        assert not is_uid(text)
