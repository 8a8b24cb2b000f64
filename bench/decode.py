"""Compressed slices into a volume, on all cores: `load` against one core's codec speed, in one run.

140 real slices, encoded once by each codec. The codec's speed is `decode_frame` in one thread over codestreams in
memory; the share is what `load` (files, headers, decoding, HU) reaches of cores × that speed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from measuring import median_seconds
from real_slices import add_data_option, slices

import hounsfield
from hounsfield.codecs import FrameFormat, decode_frame, encode_frame
from hounsfield.ct.instance import FileSource, Instance, read_instance
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.transcode import target, transcode

SYNTAXES = ("jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k", "jpeg-xl", "rle")
REPEATS = 5


def timed(function: Callable[[], Any]) -> float:
    function()
    return median_seconds(function, repeats=REPEATS)


def encode(instances: list[Instance], keyword: str, folder: Path) -> list[bytes]:
    """Write each slice compressed; gives the codestreams."""
    streams = []
    for index, instance in enumerate(instances):
        (folder / f"{index:04}.dcm").write_bytes(transcode(instance.source, target(keyword)).content)
        streams.append(encode_frame(instance.cells(), transfer_syntax(keyword), instance.frame_format))
    return streams


def decode_all(streams: list[bytes], syntax: TransferSyntax, frame_format: FrameFormat) -> None:
    for stream in streams:
        decode_frame(stream, syntax, frame_format)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_option(parser)
    instances = [read_instance(FileSource(path)) for path in slices(parser.parse_args().data)]
    megabytes, cores = sum(instance.frame_bytes for instance in instances) / 1e6, os.cpu_count() or 1
    print(
        f"\n{len(instances)} slices, {megabytes:.0f} MB of pixels, {cores} cores; warm, median of {REPEATS}"
    )
    print(
        f"{'syntax':20} {'ratio':>6} {'codec, 1 core':>14} {'load, all cores':>16} {'of cores × codec':>17}"
    )
    for keyword in SYNTAXES:
        with tempfile.TemporaryDirectory() as temporary:
            streams = encode(instances, keyword, Path(temporary))
            codec = timed(partial(decode_all, streams, transfer_syntax(keyword), instances[0].frame_format))
            load = timed(partial(hounsfield.load, temporary))
        ratio = megabytes * 1e6 / sum(map(len, streams))
        share = codec / load / cores
        print(
            f"{keyword:20} {ratio:>6.2f} {megabytes / codec:>9.0f} MB/s {megabytes / load:>11.0f} MB/s {share:>16.0%}"
        )


if __name__ == "__main__":
    main()
