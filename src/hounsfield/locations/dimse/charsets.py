"""Texts of peers in the character set that they are in, whatever an answer declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hounsfield.dicom.dataset_texts import settle_texts
from hounsfield.dimse.client import Match
from hounsfield.dimse.identifiers import decode_identifier

if TYPE_CHECKING:
    from pydicom import Dataset


def decoded(match: Match, charset: str) -> Dataset:
    """The data set of an answer; its texts as in a file, `charset` being the set that the user named for the peer."""
    dataset = decode_identifier(match.identifier, match.transfer_syntax)
    if not match.identifier.isascii() or b"\x1b" in match.identifier:
        settle_texts(dataset, charset or None)
    return dataset
