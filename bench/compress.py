"""140 real slices, files to files: ours against DCMTK, GDCM and pydicom, and against the codecs alone, in one run.

Ours decodes what it wrote and compares it, and waits until the disk has each file; the others do neither. They get
all cores too: one process a file, as many at once as there are cores; pydicom a pool of processes. `of codec` is
ours ÷ (cores × what one core encodes and decodes in memory): 100 % would be codecs alone, verification included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pydicom
from measuring import median_seconds
from real_slices import add_data_option, slices

from hounsfield.codecs import FrameFormat, Pixels, decode_frame, encode_frame
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.transcode import target
from hounsfield.verbs.compress import Job, transcode_files

SYNTAXES = ("jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k", "jpeg-xl", "rle")
COMMANDS = {
    "jpeg-ls": {"dcmtk dcmcjpls": ["dcmcjpls"], "gdcmconv": ["gdcmconv", "--jpegls"]},
    "jpeg-lossless": {"dcmtk dcmcjpeg": ["dcmcjpeg", "+e1"], "gdcmconv": ["gdcmconv", "--jpeg"]},
    "jpeg2000": {"gdcmconv": ["gdcmconv", "--j2k"]},
    "rle": {"dcmtk dcmcrle": ["dcmcrle"], "gdcmconv": ["gdcmconv", "--rle"]},
}
REPEATS = 3
CORES = os.cpu_count() or 1


timed = partial(median_seconds, repeats=REPEATS)


def codec_seconds(cells: list[Pixels], form: FrameFormat, keyword: str) -> tuple[float, float]:
    """Seconds that one core takes to encode, and to decode, all slices in memory."""
    syntax = transfer_syntax(keyword)
    streams = [encode_frame(frame, syntax, form) for frame in cells]
    encode = timed(lambda: [encode_frame(frame, syntax, form) for frame in cells])
    decode = timed(lambda: [decode_frame(stream, syntax, form) for stream in streams])
    return encode, decode


def ours(files: list[Path], out: Path, keyword: str) -> None:
    jobs = [Job(FileSource(path), out / path.name) for path in files]
    for result in transcode_files(jobs, target(keyword), force=True):
        assert result.status == "done", result.reason


def by_command(files: list[Path], out: Path, command: list[str]) -> None:
    def one(path: Path) -> None:
        subprocess.run([*command, str(path), str(out / path.name)], check=True, capture_output=True)

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(one, files))


def pydicom_one(path: Path, out: Path, uid: str) -> None:
    dataset = pydicom.dcmread(path)
    dataset.compress(uid, generate_instance_uid=False)
    dataset.save_as(out / path.name)


def by_pydicom(files: list[Path], out: Path, uid: str, pool: ProcessPoolExecutor) -> None:
    list(pool.map(partial(pydicom_one, out=out, uid=uid), files))


def peers(
    keyword: str, files: list[Path], out: Path, pool: ProcessPoolExecutor
) -> dict[str, Callable[[], None]]:
    """What else here can write this syntax."""
    found: dict[str, Callable[[], None]] = {}
    for name, command in COMMANDS.get(keyword, {}).items():
        if shutil.which(command[0]) is not None:
            found[name] = partial(by_command, files, out, command)
    uid = transfer_syntax(keyword).uid
    try:
        pydicom_one(files[0], out, uid)
        found["pydicom compress"] = partial(by_pydicom, files, out, uid, pool)
    except (NotImplementedError, RuntimeError):
        pass  # no plugin for it
    return found


def row(name: str, megabytes: float, seconds: float, size: int, share: str = "") -> None:
    print(
        f"  {name:22} {megabytes / seconds:>8.0f} MB/s {megabytes * 1e6 / size:>7.2f}× {share:>10}",
        flush=True,
    )


def folder_size(out: Path) -> int:
    return sum(path.stat().st_size for path in out.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_option(parser)
    parser.add_argument("--out", type=Path, help="where to write; a RAM disk leaves the disk out of it")
    parser.add_argument("--syntax", action="append", help="only these")
    asked = parser.parse_args()
    files = slices(asked.data)
    instances = [read_instance(FileSource(path)) for path in files]
    cells, form = [instance.cells() for instance in instances], instances[0].frame_format
    megabytes = sum(frame.nbytes for frame in cells) / 1e6
    print(
        f"{len(files)} slices, {megabytes:.0f} MB of pixels, {CORES} cores, median of {REPEATS}; files to files"
    )
    with ProcessPoolExecutor(CORES) as pool:
        for keyword in asked.syntax or SYNTAXES:
            encode, decode = codec_seconds(cells, form, keyword)
            print(
                f"{keyword}: one core encodes {megabytes / encode:.0f}, decodes {megabytes / decode:.0f} MB/s"
            )
            with tempfile.TemporaryDirectory(dir=asked.out) as temporary:
                out = Path(temporary)
                seconds = timed(partial(ours, files, out, keyword))
                share = (encode + decode) / CORES / seconds
                row("hounsfield, verified", megabytes, seconds, folder_size(out), f"{share:.0%} of codec")
            with tempfile.TemporaryDirectory(dir=asked.out) as temporary:
                for name, run in peers(keyword, files, Path(temporary), pool).items():
                    row(name, megabytes, timed(run), folder_size(Path(temporary)))


if __name__ == "__main__":
    main()
