"""Fuzz target: any bytes given to `scan` and `load` as a file make a value or one of our errors.

`python fuzz/fuzz_read.py -max_total_time=60` (needs the dependency group `fuzz`). What reaches new code is kept in
`.fuzz/read`, and what fails is written to `.fuzz`; `python fuzz/fuzz_read.py .fuzz/crash-…` runs that alone. The
same functions run over mutated phantoms in `tests/test_mutations.py`.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from running import encodings, run

import hounsfield
from hounsfield import HounsfieldError, phantom
from hounsfield.ct.instance import BytesSource, Instance, read_instance
from hounsfield.ct.series import LoadOptions, find_series
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=32, columns=32, slices=1)
MULTI = replace(SMALL, multiframe="enhanced", slices=3, rows=16, columns=16)
SPECS = (
    *encodings(SMALL),
    replace(SMALL, transfer_syntax="jpeg-ls"),
    replace(SMALL, transfer_syntax="jpeg-lossless"),
    replace(SMALL, transfer_syntax="jpeg2000"),
    replace(SMALL, transfer_syntax="htj2k"),
    replace(SMALL, transfer_syntax="jpeg-xl"),
    replace(SMALL, file_meta=False, transfer_syntax="implicit"),
    replace(SMALL, modality_lut=True),
    replace(SMALL, philips_rle="alone"),
    replace(SMALL, overlay_bit=12, bits_stored=12, padding_limit=-1900, character_set=("", "ISO 2022 IR 87")),
    MULTI,
    replace(MULTI, transfer_syntax="jpeg-ls", fragments=2, offset_table="empty"),
    replace(MULTI, transfer_syntax="jpeg2000", offset_table="extended"),
    replace(MULTI, multiframe="no geometry"),
)
LENIENT = LoadOptions(
    dtype="float32", clamp=False, gaps="fill", truncated="fill", spacing=(1, 1, 1), rectify=True, workers=1
)
PLAIN = LoadOptions(workers=1)
LONGEST_MESSAGE = 2000


def seeds() -> list[bytes]:
    """One small file of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            phantom.write(spec, Path(folder, str(number)))[0].read_bytes()
            for number, spec in enumerate(SPECS)
        ]


def read_everything(data: bytes) -> None:
    """Header, attributes, series and volumes of one file's bytes; raises only what is a bug."""
    try:
        instance = read_instance(BytesSource("file", data))
    except HounsfieldError as error:
        check(error)
        return
    _load(instance, PLAIN)
    _load(instance, LENIENT)


def _load(instance: Instance, options: LoadOptions) -> None:
    try:
        found, _ = find_series([Instance(instance.source, instance.header)])
        for series in found:
            for phase in range(max(1, len(series.phases))):
                volume = series.load(options, phase=phase if series.phases else None)
                assert volume.array.dtype == np.dtype(options.dtype_of(series.unit))
                assert not (volume.is_hounsfield and options.clamp) or volume.array.min() >= -1024
    except HounsfieldError as error:
        check(error)


def check(error: HounsfieldError) -> None:
    """One line that a terminal can show."""
    text = str(error)
    assert text
    assert len(text) < LONGEST_MESSAGE
    assert text.isprintable()


def scan_file(path: Path) -> None:
    """What a user does with a file: `scan`, then `load`."""
    try:
        for one in hounsfield.scan(path).skipped:
            assert one.reason
        hounsfield.load(path)
    except HounsfieldError as error:
        check(error)


def main() -> None:
    run("read", seeds(), read_everything)


if __name__ == "__main__":
    main()
