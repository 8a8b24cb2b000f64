"""Fuzz target: any bytes given to `transcode` as a file make a file that reads back, or one of our errors.

`python fuzz/fuzz_compress.py -max_total_time=60` (needs the dependency group `fuzz`). What reaches new code is kept
in `.fuzz/compress`, and what fails is written to `.fuzz`; `python fuzz/fuzz_compress.py .fuzz/crash-…` runs that
alone. The first byte chooses the target.
"""

from __future__ import annotations

from fuzz_read import check, seeds
from running import run

from hounsfield import HounsfieldError
from hounsfield.ct.instance import BytesSource
from hounsfield.transcode import target, transcode

TARGETS = (
    target("explicit"),
    target("implicit"),
    target("explicit-big-endian"),
    target("rle"),
    target("jpeg-ls"),
    target("htj2k"),
    target("auto"),
    target("jpeg-ls-near", max_error=2),
)


def compress_anything(data: bytes) -> None:
    """One file's bytes to one target; what comes out goes back to native. Raises only what is a bug."""
    chosen = TARGETS[data[0] % len(TARGETS)] if data else TARGETS[0]
    try:
        packed = transcode(BytesSource("file", data[1:]), chosen)
    except HounsfieldError as error:
        check(error)
        return
    if packed.changed:
        assert transcode(BytesSource("packed", packed.content), target("explicit")).frames == packed.frames


def main() -> None:
    run("compress", (bytes([number]) + seed for number, seed in enumerate(seeds())), compress_anything)


if __name__ == "__main__":
    main()
