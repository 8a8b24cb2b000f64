"""The transfer syntax table: complete, unambiguous, and honest about what cannot be read."""

from __future__ import annotations

import pytest
from pydicom.uid import UID

from hounsfield.dicom.syntaxes import SYNTAXES, transfer_syntax
from hounsfield.errors import UnsupportedError

PROMISED = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.8.1",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55, 57, 70, 80, 81, 90, 91)),
    *(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203, 110, 111, 112)),
]


@pytest.mark.parametrize("uid", PROMISED)
def test_every_promised_syntax_is_readable(uid: str) -> None:
    assert SYNTAXES[uid].readable


@pytest.mark.parametrize("uid", PROMISED)
def test_flags_agree_with_pydicom(uid: str) -> None:
    known, ours = UID(uid), SYNTAXES[uid]
    if ours.encapsulated:
        assert not ours.deflated and not ours.implicit_vr and ours.little_endian
    else:
        assert (ours.implicit_vr, ours.little_endian, ours.deflated) == (
            known.is_implicit_VR,
            known.is_little_endian,
            known.is_deflated,
        )


def test_keywords_are_unique_and_found() -> None:
    keywords = [syntax.keyword for syntax in SYNTAXES.values()]
    assert len(set(keywords)) == len(keywords)
    assert all(transfer_syntax(syntax.keyword) is syntax for syntax in SYNTAXES.values())


def test_padded_uids_and_loose_keywords_are_found() -> None:
    assert transfer_syntax("1.2.840.10008.1.2.1\0").keyword == "explicit"
    assert transfer_syntax("JPEG_LS").uid == "1.2.840.10008.1.2.4.80"


def test_a_stub_says_why() -> None:
    stubs = [syntax for syntax in SYNTAXES.values() if not syntax.readable]
    assert transfer_syntax("h264") in stubs
    assert all(stub.note and not stub.writable for stub in stubs)


def test_an_unknown_name_is_unsupported_and_lists_choices() -> None:
    with pytest.raises(UnsupportedError, match="jpeg-ls"):
        transfer_syntax("jpeg-ultra")
