"""Metadata of a server held against what an image must say of its pixels.

Servers answer from a database that lacks attributes, or has made them up: no geometry and no rescale is taken from
those. Suspect metadata are compared with one instance of the series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hounsfield.ct.instance import Header, Source, read_instance
from hounsfield.ct.instance.stated import DECISIVE, PLANE, disagreement
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model, to_dataset
from hounsfield.errors import HounsfieldError

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_WITH_PLANE = frozenset({_CT_IMAGE, "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"})
"""SOP classes of single frames whose Image Plane module is mandatory (PS3.3 A.3, A.4, A.21): CT, MR, PET."""


def describes_pixels(models: Mapping[str, Model], source: Callable[[str], Source]) -> bool:
    """Return whether the metadata of a series, by SOP Instance UID, can be believed without its instances.

    One of them is read, by `source`, where the metadata are suspect.
    """
    if any(_lacks_plane(model) for model in models.values()):
        return False
    suspect = next((uid for uid, model in models.items() if _has_odd_rescale(model)), None)
    return suspect is None or _agree(models[suspect], source(suspect))


def _lacks_plane(model: Model) -> bool:
    if first(model, "SOPClassUID") not in _WITH_PLANE or not first(model, "Rows"):
        return False
    return not all(first(model, keyword) for keyword in PLANE)


def _has_odd_rescale(model: Model) -> bool:
    """Return whether a CT Image has no rescale, or one by which unsigned values hold no air."""
    if first(model, "SOPClassUID") != _CT_IMAGE:
        return False
    slope, intercept = first(model, "RescaleSlope"), first(model, "RescaleIntercept")
    try:
        _, bottom = float(slope), float(intercept)
    except ValueError:
        return True
    return first(model, "PixelRepresentation") != "1" and not bottom < 0


def _agree(model: Model, source: Source) -> bool:
    try:
        found = read_instance(source).header
    except HounsfieldError:
        return True  # reading it for its pixels will say why
    stated = Header.from_dataset(to_dataset(model), found.transfer_syntax)
    is_missing = any(keyword in found and keyword not in stated for keyword in DECISIVE)
    return not is_missing and disagreement(stated, found) is None
