"""Evidence from headers that hardly anybody reads: cone beams, density kernels, virtual and mended images.

Texts in, evidence out. What says that the numbers are not calibrated to Hounsfield units keeps a verdict from being
`plausible`, however good they look; the rest is there to be known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hounsfield.ct.plausibility.evidence import Evidence

USUAL_KVP = (100.0, 140.0)
"""kVp at which bone and iodine read about as at 120, where most thresholds of the literature were set."""

ATTRIBUTES = (
    "Manufacturer",
    "ManufacturerModelName",
    "ConvolutionKernel",
    "SeriesDescription",
    "ImageType",
    "KVP",
    "RescaleType",
)
"""Keywords that `header_evidence` looks at."""

UNCALIBRATED = frozenset({"cone-beam", "density-kernel"})
"""Evidence by which numbers are not, or not surely, Hounsfield units."""

_CONE_BEAMS = re.compile(
    # linear accelerators
    r"on.?board.?imag|\bOBI\b|\bXVI\b|true ?beam|halcyon|ethos|varian.*cbct|elekta.*cone"
    # dental
    r"|i-?cat\b|new ?tom|pro ?max|promax|accuitomo|veraview|galileos|orthophos|orthopantomograph|\bOP ?300\b|scanora"
    r"|cranex|\bCS ?[89]\d00\b|kodak 9\d00|3d ?exam|pax-?i|picasso|whitefox|rayscan|i-?max ?3d|hyperion|planmeca"
    r"|soredex|imaging sciences|j\.? ?morita|vatech|carestream dental"
    # C-arms and mobile gantries
    r"|dyna ?ct|xper ?ct|innova ?ct|axiom-artis|\bartis\b|o-?arm|\bcone.?beam\b|\bCBCT\b",
    re.IGNORECASE,
)
_DENSITY_KERNEL = re.compile(
    r"Sd\d"
)  # Siemens DirectDensity: relative electron or mass density, not attenuation
_VIRTUAL = re.compile(
    r"\b(VNC|VNI|VMI\+?|VUE|MONO ?E|MONO(CHROMATIC|ENERGETIC)?|VIRTUAL|\d{2,3} ?KEV)\b|\bMONO[_ +]",
    re.IGNORECASE,
)
_MENDED = re.compile(r"\b(i?MAR|O-?MAR|SEMAR|SMART ?MAR|METAL ARTI?E?FACT)\b", re.IGNORECASE)


def header_evidence(said: Mapping[str, str]) -> tuple[Evidence, ...]:
    """Evidence of a series' header by DICOM keyword, values as text, several joined by backslashes."""
    maker = " ".join(filter(None, (said.get("Manufacturer", ""), said.get("ManufacturerModelName", ""))))
    kernel, description = said.get("ConvolutionKernel", ""), said.get("SeriesDescription", "")
    kinds = " ".join((said.get("ImageType", "").replace("\\", " "), description, kernel)).replace("_", " ")
    found = []
    if beam := _CONE_BEAMS.search(f"{maker} {description}"):
        found.append(Evidence("cone-beam", text=maker if beam.group() in maker else description))
    if _DENSITY_KERNEL.match(kernel):
        found.append(Evidence("density-kernel", text=kernel.replace("\\", " ")))
    if virtual := _VIRTUAL.search(kinds):
        found.append(Evidence("virtual-image", text=virtual.group().strip()))
    if mended := _MENDED.search(kinds):
        found.append(Evidence("metal-reduction", text=mended.group().strip()))
    kvp = _number(said.get("KVP", ""))
    if kvp is not None and not USUAL_KVP[0] <= kvp <= USUAL_KVP[1]:
        found.append(Evidence("unusual-kvp", kvp))
    if not said.get("RescaleType"):
        found.append(Evidence("no-rescale-type"))
    return tuple(found)


def _number(text: str) -> float | None:
    try:
        number = float(text.split("\\", maxsplit=1)[0])
    except ValueError:
        return None
    return number if 0 < number < 1000 else None
