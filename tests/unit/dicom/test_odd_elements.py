"""Files with odd elements: every verb gives one verdict on each, and no error of another library shows."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield import HounsfieldError, phantom
from hounsfield.attributes import attribute_rows
from hounsfield.attributes.editing import write_edited
from hounsfield.attributes.edits import parse_edits
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.datasets import read_dataset
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, IMPLICIT_VR_LITTLE, SEQUENCE_END, UNDEFINED, Encoding
from hounsfield.dicom.full_walk import Element, FullWalk
from hounsfield.dicom.nesting import MAX_DEPTH
from hounsfield.dicom.part10 import file_parts, open_data_set
from hounsfield.errors import MalformedError
from hounsfield.phantom import PhantomSpec
from hounsfield.server.ingest.validation import Refused, validate
from hounsfield.transcode import target, transcode
from hounsfield.verbs.deidentify.identity import Pseudonyms
from hounsfield.verbs.deidentify.objects import deidentify_object
from hounsfield.verbs.deidentify.profile import Profile

E, IMPLICIT = EXPLICIT_LITTLE, IMPLICIT_VR_LITTLE
REFERENCED, PRIVATE, PIXELS = 0x00081140, 0x00091010, 0x7FE00010
CREATOR = E.header(0x00090010, b"LO", 8) + b"ACME 1.0"
UID = E.header(0x00081150, b"UI", 4) + b"1.2\0"
IMPLICIT_UID = IMPLICIT.header(0x00081150, b"", 4) + b"1.2\0"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small CT in each of the encodings."""
    found = {}
    for syntax in ("explicit", "implicit", "explicit-big-endian", "deflated", "jpeg-ls"):
        spec = PhantomSpec(rows=16, columns=18, slices=1, transfer_syntax=syntax)
        found[syntax] = phantom.write(spec, tmp_path_factory.mktemp("odd"))[0].read_bytes()
    return found


def parts_of(content: bytes) -> tuple[bytes, bytes, list[Element]]:
    """What is before the data set, the data set (inflated), and its elements."""
    walk = FullWalk(content)
    parts = file_parts(walk)
    data = open_data_set(walk, parts)
    held = data.walk.read(0, data.walk.size)
    return content[: parts.begin], held, list(data.walk.elements(data.begin, len(held), data.encoding))


def with_element(content: bytes, tag: int, extra: bytes) -> bytes:
    """`content` with `extra` where an element `tag` belongs."""
    elements = parts_of(content)[2]
    at = next((element.start for element in elements if element.tag > tag), len(content))
    return content[:at] + extra + content[at:]


def header_verdict(content: bytes) -> None:
    assert read_instance(BytesSource("odd.dcm", content)).header.integer("Rows") == 16


def rows_verdict(content: bytes) -> None:
    assert attribute_rows(read_instance(BytesSource("odd.dcm", content)).dataset())


def edit_verdict(content: bytes) -> None:
    out = io.BytesIO()
    write_edited(BytesSource("odd.dcm", content), parse_edits(["PatientName=A^B"], []), out)
    assert read_instance(BytesSource("edited", out.getvalue())).header.text("PatientName") == "A^B"


def compress_verdict(content: bytes) -> None:
    for syntax in ("htj2k", "implicit"):
        made = transcode(BytesSource("odd.dcm", content), target(syntax))
        header_verdict(made.content)


def deidentify_verdict(content: bytes) -> None:
    made = deidentify_object(BytesSource("odd.dcm", content), Profile(), Pseudonyms(b"key"))
    assert not made.reason
    header_verdict(made.content)
    assert b"Phantom^" not in made.content


def store_verdict(content: bytes) -> None:
    found = validate(BytesSource("odd.dcm", content), size=len(content), header=1 << 20)
    if isinstance(found, Refused):
        assert "fault of the server" not in found.reason
        raise MalformedError(found.reason)


VERBS: dict[str, Callable[[bytes], None]] = {
    "header": header_verdict,
    "rows": rows_verdict,
    "edit": edit_verdict,
    "compress": compress_verdict,
    "deidentify": deidentify_verdict,
    "store": store_verdict,
}


def verdicts(content: bytes, *left_out: str) -> dict[str, str]:
    """What each verb says of a file: "read", or the error of ours that it raises."""
    found = {}
    for verb, read in VERBS.items():
        if verb in left_out:
            continue
        try:
            read(content)
            found[verb] = "read"
        except HounsfieldError as error:
            assert "NotImplementedError" not in str(error)
            found[verb] = "refused"
    return found


def nested(levels: int, *, undefined: bool, encoding: Encoding = E) -> bytes:
    """A sequence of `levels` sequences within each other."""
    content = b""
    for _ in range(levels):
        if undefined:
            item = encoding.item() + content + encoding.item_end
            content = encoding.header(REFERENCED, b"SQ", UNDEFINED) + item + encoding.sequence_end
        else:
            item = encoding.item(len(content)) + content
            content = encoding.header(REFERENCED, b"SQ", len(item)) + item
    return content


def unknown(tag: int, vr: bytes, value: bytes = b"abcd") -> bytes:
    """An element whose VR is none, with a length of 16 bits."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


SEQUENCES = {
    "UN of undefined length": E.header(REFERENCED, b"UN", UNDEFINED)
    + E.item(len(IMPLICIT_UID))
    + IMPLICIT_UID
    + E.sequence_end,
    "UN of undefined length, explicit inside": E.header(REFERENCED, b"UN", UNDEFINED)
    + E.item(len(UID))
    + UID
    + E.sequence_end,
    "UN of defined length": E.header(REFERENCED, b"UN", 20) + E.item(12) + IMPLICIT_UID,
    "an implicit item": E.header(REFERENCED, b"SQ", 20) + E.item(12) + IMPLICIT_UID,
    "an item too long for its sequence": E.header(REFERENCED, b"SQ", 20) + E.item(200) + UID,
    "an item too short": E.header(REFERENCED, b"SQ", 20) + E.item(6) + UID,
    "a value too long for its item": E.header(REFERENCED, b"SQ", 20)
    + E.item(12)
    + E.header(0x00081150, b"UI", 90)
    + b"1.2\0",
    "no item at all": E.header(REFERENCED, b"SQ", 20) + b"nonsense and more!!!",
    "no delimiter of an item": E.header(REFERENCED, b"SQ", UNDEFINED) + E.item() + UID + E.sequence_end,
    "a delimiter with a length": E.header(REFERENCED, b"SQ", UNDEFINED) + E.item(0) + E.item(4, SEQUENCE_END),
    "a blank VR within": E.header(REFERENCED, b"SQ", 20) + E.item(12) + unknown(0x00081150, b"  "),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_odd_sequences_are_read_by_every_verb(name: str, files: dict[str, bytes]) -> None:
    content = with_element(files["explicit"], REFERENCED, SEQUENCES[name])
    assert set(verdicts(content).values()) == {"read"}


@pytest.mark.parametrize("vr", [b"  ", b"\0\0", b"??", b"--", b"ZZ", b"XX", b"lo", b"- "])
@pytest.mark.parametrize("tag", [PRIVATE, 0x00080071])
def test_elements_whose_vr_is_none_are_read_by_every_verb(
    vr: bytes, tag: int, files: dict[str, bytes]
) -> None:
    creator = CREATOR if tag == PRIVATE else b""
    content = with_element(files["explicit"], tag, creator + unknown(tag, vr))
    assert set(verdicts(content).values()) == {"read"}


def test_a_vr_of_the_future_has_a_long_length(files: dict[str, bytes]) -> None:
    extra = struct.pack("<HH2sHI", 9, 0x1010, b"ZZ", 0, 4) + b"abcd"
    content = with_element(files["explicit"], PRIVATE, CREATOR + extra)
    assert set(verdicts(content).values()) == {"read"}
    rows = attribute_rows(read_instance(BytesSource("odd.dcm", content)).dataset())
    assert next(row.value for row in rows if row.tag == PRIVATE) == "abcd"


@pytest.mark.parametrize("tag", [0x00100020, 0x00280010])
def test_a_known_element_with_a_blank_vr_has_that_of_the_dictionary(
    tag: int, files: dict[str, bytes]
) -> None:
    content = bytearray(files["explicit"])
    at = content.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 340) + 4
    content[at : at + 2] = b"  "
    assert set(verdicts(bytes(content)).values()) == {"read"}
    assert read_instance(BytesSource("odd.dcm", bytes(content))).header.text("PatientID") == "HU-PHANTOM"


STRAY = {
    "end of a sequence": E.sequence_end,
    "end of an item": E.item_end,
    "item": E.item(0),
    "two ends": E.item_end + E.sequence_end,
    "zeros": bytes(16),
}


@pytest.mark.parametrize("name", STRAY)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_delimiters_out_of_place_are_passed_over(name: str, place: str, files: dict[str, bytes]) -> None:
    plain = files["explicit"]
    content = with_element(plain, 0x00080070, STRAY[name]) if place == "before" else plain + STRAY[name]
    assert set(verdicts(content).values()) == {"read"}
    made = transcode(BytesSource("odd.dcm", content), target("implicit")).content
    assert made == transcode(BytesSource("odd.dcm", plain), target("implicit")).content


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "explicit-big-endian", "jpeg-ls"])
@given(count=st.integers(1, 5000) | st.sampled_from([1, 2, 7, 8, 9, 11, 12, 13, 511, 512, 513]))
def test_any_count_of_zeros_behind_the_pixels_is_no_part_of_the_data_set(
    syntax: str, count: int, files: dict[str, bytes]
) -> None:
    plain = files[syntax]
    tags = [element.tag for element in parts_of(plain)[2]]
    assert [element.tag for element in parts_of(plain + bytes(count))[2]] == tags
    header_verdict(plain + bytes(count))


@pytest.mark.parametrize("behind", [b"\xde\xad\xbe\xef" * 30, b"some text at the end of the file"])
def test_whatever_lies_behind_the_pixels_is_left_out(behind: bytes, files: dict[str, bytes]) -> None:
    for syntax in ("explicit", "jpeg-ls"):
        assert set(verdicts(files[syntax] + behind).values()) == {"read"}
        made = deidentify_object(BytesSource("a", files[syntax] + behind), Profile(), Pseudonyms(b"key"))
        assert behind not in made.content


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("levels", [2, 33, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH + 6, 500])
def test_one_limit_of_depth_for_all(levels: int, undefined: bool, files: dict[str, bytes]) -> None:
    content = with_element(files["explicit"], REFERENCED, nested(levels, undefined=undefined))
    assert set(verdicts(content).values()) == {"read" if levels <= MAX_DEPTH else "refused"}


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_limit_of_depth_holds_where_lengths_are_mixed_and_in_implicit_vr(
    levels: int, files: dict[str, bytes]
) -> None:
    inner = nested(levels // 2, undefined=False, encoding=IMPLICIT)
    for level in range(levels - levels // 2):
        item = IMPLICIT.item() + inner + IMPLICIT.item_end if level % 2 else IMPLICIT.item(len(inner)) + inner
        inner = IMPLICIT.header(REFERENCED, b"", UNDEFINED) + item + IMPLICIT.sequence_end
    content = with_element(files["implicit"], REFERENCED, inner)
    assert set(verdicts(content).values()) == {"read" if levels <= MAX_DEPTH else "refused"}


def deflated(content: bytes, window: int) -> bytes:
    deflater = zlib.compressobj(wbits=window)
    return deflater.compress(content) + deflater.flush()


@pytest.mark.parametrize(
    ("window", "behind"), [(-15, b"\0"), (-15, bytes(600)), (-15, b"garbage" * 9), (15, b""), (31, b"")]
)
def test_what_is_around_deflated_data_does_not_matter(
    window: int, behind: bytes, files: dict[str, bytes]
) -> None:
    head, inner, _ = parts_of(files["deflated"])
    content = head + deflated(inner + bytes(512), window) + behind
    assert set(verdicts(content).values()) == {"read"}


def test_a_data_set_that_is_not_deflated_is_read_for_what_it_is(files: dict[str, bytes]) -> None:
    head = parts_of(files["deflated"])[0]
    content = head + files["explicit"][len(parts_of(files["explicit"])[0]) :]
    assert set(verdicts(content).values()) == {"read"}


def bare(content: bytes) -> bytes:
    return content[len(parts_of(content)[0]) :]


def mislabelled(files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    heads = {syntax: parts_of(content)[0] for syntax, content in files.items()}
    for label in ("explicit", "implicit", "explicit-big-endian"):
        for syntax in ("explicit", "implicit", "explicit-big-endian"):
            yield f"{syntax} as {label}", heads[label] + bare(files[syntax])


def test_the_bytes_decide_on_the_encoding_where_the_label_is_wrong(files: dict[str, bytes]) -> None:
    for name, content in mislabelled(files):
        assert set(verdicts(content, "store").values()) == {"read"}, name
        stored = validate(BytesSource("odd", content), size=len(content), header=1 << 20)
        # A label that the data contradict is refused where the data say their VRs themselves.
        assert isinstance(stored, Refused) is (name == "explicit as implicit"), (name, stored)


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "explicit-big-endian"])
def test_files_without_preamble_or_meta_group_are_read_but_not_stored(
    syntax: str, files: dict[str, bytes]
) -> None:
    content = files[syntax]
    for odd in (bare(content), content[132:], content[128:]):
        assert set(verdicts(odd, "store").values()) == {"read"}
        assert (
            "no DICM after a preamble"
            in validate(BytesSource("odd", odd), size=len(odd), header=1 << 20).reason
        )
        made = transcode(BytesSource("odd.dcm", odd), target("htj2k")).content
        assert made[128:132] == b"DICM"
        assert set(verdicts(made).values()) == {"read"}


def metas(content: bytes) -> Iterator[bytes]:
    """The file with its meta group written as it must not be."""
    parts = file_parts(FullWalk(content))
    data = content[parts.begin :]
    values = [(element.tag, content[element.value : element.end]) for element in parts.meta]
    yield (
        content[:132]
        + b"".join(IMPLICIT.header(tag, b"", len(value)) + value for tag, value in values)
        + data
    )
    yield content[:132] + content[parts.meta[1].start :]  # no group length
    yield content[:140] + struct.pack("<I", 999) + content[144:]  # a wrong one
    stray = parts.meta[3].stop
    yield content[:stray] + b"99" + content[stray:]
    yield content[:132] + data


def test_odd_meta_groups_are_read_by_every_verb(files: dict[str, bytes]) -> None:
    for number, content in enumerate(metas(files["explicit"])):
        assert set(verdicts(content).values()) == {"read"}, number


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "explicit-big-endian"])
def test_a_file_that_ends_before_its_pixels_is_changed_by_no_verb(
    syntax: str, files: dict[str, bytes]
) -> None:
    head, _, elements = parts_of(files[syntax])
    pixels = elements[-1].start
    for end in (len(head) + 300, pixels - 3, pixels + 3, pixels + 7):
        found = verdicts(files[syntax][:end], "header", "rows")
        assert set(found.values()) == {"refused"}, end


def test_a_sequence_that_cannot_be_walked_is_not_left_in_a_deidentified_file(files: dict[str, bytes]) -> None:
    damaged = E.header(REFERENCED, b"SQ", 36) + b"nonsense that names Mr Smith Johnson"
    content = with_element(files["explicit"], REFERENCED, damaged)
    made = deidentify_object(BytesSource("odd.dcm", content), Profile(), Pseudonyms(b"key"))
    assert b"Smith" not in made.content


def test_streams_maps_and_bytes_are_walked_alike(files: dict[str, bytes], tmp_path: Path) -> None:
    for syntax, content in files.items():
        path = tmp_path / syntax
        path.write_bytes(content)
        with open(path, "rb", buffering=0) as stream:
            walks = [FullWalk(content), FullWalk(memoryview(content)), FullWalk(stream)]
            found = []
            for walk in walks:
                data = open_data_set(walk, file_parts(walk))
                found.append(list(data.walk.elements(data.begin, data.walk.size, data.encoding)))
                assert read_dataset(data)[0].PatientID == "HU-PHANTOM"
            assert found[0] == found[1] == found[2]
