"""Headers of NIfTI-1 and NIfTI-2, in either byte order, by nibabel."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import HounsfieldError
from hounsfield.formats.reading.layout import Beginning, VolumeLayout, grid, not_real, usable

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM = {"meter": 1000.0, "micron": 0.001}
_OURS = re.compile(r"hounsfield; unit ([^\s\0]+)")


def nifti_layout(beginning: Beginning) -> VolumeLayout:
    """The layout of a `.nii`, or of a `.nii.gz` that is expanded. Raises `MalformedError`, `UnsupportedError`."""
    try:
        header = _header(beginning)
        kind = header.get_data_dtype()
        if kind.kind not in "iufb":
            raise not_real("colour" if kind.names else str(kind), beginning.name)
        if bytes(header["magic"]).startswith(b"ni"):
            raise beginning.malformed(
                "a NIfTI header whose voxels are in another file (.img)", expected="one file"
            )
        sizes = [int(length) for length in header.get_data_shape()]
        slope, intercept = header.get_slope_inter()
        affine, spacing, notes = _place(header)
        offset = int(header.get_data_offset())
    except HounsfieldError:
        raise
    except Exception as error:  # nibabel raises many kinds on a broken header
        message = " ".join(str(error).split())[:200]
        raise beginning.malformed(f"a NIfTI header that cannot be read ({message})") from error
    if offset < header.sizeof_hdr:
        raise beginning.malformed(f"voxels at byte {offset}, within the header")
    ours = _OURS.search(bytes(header["descrip"]).decode("latin-1"))
    return VolumeLayout(
        "NIfTI",
        grid(sizes, "a NIfTI", beginning.name),
        kind,
        affine,
        spacing=spacing,
        offset=offset,
        encoding=beginning.packed,
        slope=1.0 if slope is None else float(slope),
        intercept=0.0 if intercept is None else float(intercept),
        unit=ours.group(1) if ours else "",
        notes=notes,
    )


def _header(beginning: Beginning) -> Any:
    import nibabel

    size = beginning.head[:4]
    kinds: Mapping[int, Any] = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
    kind = next(
        (kinds[n] for n in kinds if n in (int.from_bytes(size, "little"), int.from_bytes(size, "big"))), None
    )
    if kind is None or len(beginning.head) < kind.sizeof_hdr:
        raise beginning.malformed("no NIfTI header at its start", expected="348 or 540 as its first number")
    return kind.from_fileobj(io.BytesIO(beginning.head[: kind.sizeof_hdr]), check=False)


def _place(
    header: Any,
) -> tuple[NDArray[np.float64] | None, tuple[float, float, float] | None, tuple[str, ...]]:
    """Affine, spacing and notes: the sform where it has a code, else the qform, as NIfTI-1 has it (method 3 over 2)."""
    mm = _MM.get(header.get_xyzt_units()[0], 1.0)
    notes = (f"lengths in {header.get_xyzt_units()[0]}s: taken as such",) if mm != 1.0 else ()
    zooms = [float(length) * mm for length in header.get_zooms()[:3]] + [1.0, 1.0, 1.0]
    spacing = (zooms[2], zooms[1], zooms[0]) if min(zooms[:3]) > 0 and np.isfinite(zooms).all() else None
    ras = header.get_sform() if header["sform_code"] > 0 else None
    if ras is None and header["qform_code"] > 0:
        ras = header.get_qform()
    if ras is None:
        return None, spacing, (*notes, "neither sform nor qform: no place in the patient")
    lps = LPS_FROM_RAS @ np.diag([mm, mm, mm, 1.0]) @ np.asarray(ras, np.float64)
    affine: NDArray[np.float64] = lps[:, [2, 1, 0, 3]]
    if not usable(affine):
        return None, spacing, (*notes, "an affine that spans no space: no place in the patient")
    return affine, spacing, notes
