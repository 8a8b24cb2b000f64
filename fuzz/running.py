"""What fuzz targets share: how they are run, what they keep, and the encodings of the small files that they begin with.

No target itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from hounsfield.phantom import PhantomSpec

KEPT = Path(__file__).resolve().parent.parent / ".fuzz"
"""Where inputs that reach new code are kept, in a folder for each target, and what fails is written."""


def encodings(small: PhantomSpec) -> tuple[PhantomSpec, ...]:
    """`small` in each way in which a file that is not compressed may be written, and in RLE."""
    return (
        small,
        replace(small, transfer_syntax="implicit", private_tags=True),
        replace(small, transfer_syntax="explicit-big-endian"),
        replace(small, transfer_syntax="deflated"),
        replace(small, transfer_syntax="rle"),
    )


def run(name: str, seeds: Iterable[bytes], one_input: Callable[[bytes], object]) -> None:
    """Give `one_input` the seeds, what was kept of earlier runs, and mutations of these; or files that are named."""
    import atheris

    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        Path(folder, f"seed{number:02d}").write_bytes(seed)
    atheris.instrument_all()
    given = [] if any(Path(argument).is_file() for argument in sys.argv[1:]) else [str(folder)]
    atheris.Setup([*sys.argv, f"-artifact_prefix={KEPT}/", *given], one_input)
    atheris.Fuzz()
