"""Fuzz target: damaged codestreams of every family, given to the process that must live.

`python fuzz/fuzz_codestreams.py -max_total_time=60`. Judged is that process, not the decoder: it may not die, nor stay
with one input, nor raise what is none of our errors. It decodes as `hounsfield.load` does, so what no decoder was
tried with goes to children, which may die. What fails is written to `.fuzz`, and `python fuzz/fuzz_codestreams.py
.fuzz/codestreams-…` runs that alone. The figures are those of `hounsfield.codecs.isolation.TRIALS`.
"""

from __future__ import annotations

import mmap
import os
import pickle
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from running import KEPT

from hounsfield.codecs import FrameFormat, Rate, decode_frame, encode_frame
from hounsfield.dicom.syntaxes import SYNTAXES, transfer_syntax
from hounsfield.errors import HounsfieldError

LONGEST_SECONDS = 30.0
"""With one input: a child has less than a second of CPU for such frames, and the machine may be busy."""

SHAPES = ((24, 20), (64, 64), (70, 33), (300, 40), (24, 20, 3))
BITS = (8, 12, 16)
HEADERS = (60, 120, 160)  # bytes at the start, where segments are: they get most of the changes
VALUES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
OUTCOMES = ("decoded", "refused", "bug", "death", "stall")

Seed = tuple[str, FrameFormat, bytes]
Decode = Callable[[bytes, str, FrameFormat], object]


def seeds() -> list[Seed]:
    """Small images, smooth and of noise, in every syntax that is written: keyword, format, codestream."""
    noise = np.random.default_rng(0)
    found: list[Seed] = []
    for syntax in SYNTAXES.values():
        for shape in SHAPES:
            for bits in BITS:
                depth = 8 if bits == 8 else 16
                colour = "RGB" if len(shape) == 3 else "MONOCHROME2"
                form = FrameFormat(*shape[:2], 3 if len(shape) == 3 else 1, depth, bits, bits - 1, 0, colour)
                smooth = np.add.outer(np.arange(shape[0]) * 21, np.arange(shape[1]) * 35) % (1 << bits)
                plane = noise.integers(0, 1 << bits, shape[:2]) if bits == 16 else smooth
                image = np.stack([plane] * 3, -1) if len(shape) == 3 else plane
                try:
                    stream = encode_frame(image.astype(form.dtype), syntax, form, rate=Rate(quality=80))
                except HounsfieldError:
                    continue
                if syntax.encapsulated:
                    found.append((syntax.keyword, form, stream))
    return found


def mutated(stream: bytes, chance: random.Random) -> bytes:
    """One to eight changes: bytes, bits, large numbers, some bytes more, fewer, or copied."""
    data = bytearray(stream)
    end = min(len(data), chance.choice((*HEADERS, len(data))))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        at = chance.randrange(max(1, min(end, len(data) - 1)))
        kind = chance.randrange(7)
        if kind < 2:
            data[at] = chance.randrange(256)
        elif kind == 2:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 3:
            value = chance.choice(VALUES)
            width = chance.choice((1, 2, 4))
            data[at : at + width] = (value & (256**width - 1)).to_bytes(width, "big")
        elif kind == 4:
            del data[at : at + chance.randrange(1, 5)]
        elif kind == 5:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
        else:
            length, other = chance.randrange(1, 16), chance.randrange(max(1, end))
            data[at : at + length] = data[other : other + length]
    return bytes(data)


def decode(data: bytes, keyword: str, form: FrameFormat) -> object:
    """As everything in the house decodes."""
    return decode_frame(data, transfer_syntax(keyword), form)


@dataclass
class Trials:
    """Inputs by number, the same for a `seed`; how each family fared; what failed."""

    seed: int = 0
    decode: Decode = decode
    seeds: list[Seed] = field(default_factory=seeds)
    failed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.families = sorted({transfer_syntax(keyword).family for keyword, _, _ in self.seeds})
        shape = (len(self.families), len(OUTCOMES))
        self._memory = mmap.mmap(-1, 8 * (2 + shape[0] * shape[1]))
        shared = np.frombuffer(self._memory, np.int64)
        self._state, self.counts = shared[:2], shared[2:].reshape(shape)

    def input(self, number: int) -> Seed:
        chance = random.Random(f"{self.seed} {number}")
        keyword, form, stream = chance.choice(self.seeds)
        return keyword, form, mutated(stream, chance)

    def run(self, *, seconds: float, most: int = sys.maxsize) -> None:
        """Give inputs to a process of its own until time or inputs end, and to the next where one dies or stalls."""
        end, first = time.monotonic() + seconds, 0
        while first < most and time.monotonic() < end:
            self._state[:] = first, most
            pid = os.fork()
            if pid == 0:
                self._decode_all()
            outcome = self._watched(pid, end)
            if outcome is None:
                return
            number = int(self._state[0])
            keyword, form, data = self.input(number)
            self.failed.append(number)
            self.counts[self._family(keyword), OUTCOMES.index(outcome)] += 1
            KEPT.mkdir(exist_ok=True)
            path = KEPT / f"codestreams-{outcome}-{keyword}-{self.seed}-{number}"
            path.write_bytes(pickle.dumps((keyword, form, data)))
            print(f"{outcome}: {path}")
            first = number + 1

    def _watched(self, pid: int, end: float) -> str | None:
        """How the process failed; None where it came to its end."""
        last, since = -1, time.monotonic()
        while True:
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                return None if status == 0 else "bug" if os.WIFEXITED(status) else "death"
            now = time.monotonic()
            if now > end:
                self._state[1] = 0
            if self._state[0] != last:
                last, since = int(self._state[0]), now
            elif now - since > LONGEST_SECONDS:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return "stall"
            time.sleep(0.02)

    def _decode_all(self) -> None:
        """What the process does that must live."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        warnings.simplefilter("ignore")
        try:
            while self._state[0] < self._state[1]:
                keyword, form, data = self.input(int(self._state[0]))
                try:
                    self.decode(data, keyword, form)
                    outcome = "decoded"
                except HounsfieldError:
                    outcome = "refused"
                self.counts[self._family(keyword), OUTCOMES.index(outcome)] += 1
                self._state[0] += 1
        except BaseException:  # noqa: BLE001 (the process that watches tells)
            os._exit(1)
        os._exit(0)

    def _family(self, keyword: str) -> int:
        return self.families.index(transfer_syntax(keyword).family)

    def table(self) -> str:
        """Inputs and outcomes by family."""
        lines = [f"{'family':16}{'inputs':>10}" + "".join(f"{name:>10}" for name in OUTCOMES)]
        rows = [*zip(self.families, self.counts, strict=True), ("all", self.counts.sum(axis=0))]
        lines += [f"{name:16}{row.sum():>10}" + "".join(f"{n:>10}" for n in row) for name, row in rows]
        return "\n".join(lines)


def main() -> None:
    files = [Path(argument) for argument in sys.argv[1:] if Path(argument).is_file()]
    for path in files:
        keyword, form, data = pickle.loads(path.read_bytes())  # written by this program
        decode(data, keyword, form)
    if files:
        return
    options = dict(argument.lstrip("-").split("=") for argument in sys.argv[1:] if "=" in argument)
    trials = Trials(seed=int(options.get("seed", time.time())))
    trials.run(seconds=float(options.get("max_total_time", 60)))
    print(f"seed {trials.seed}\n{trials.table()}")
    sys.exit(bool(trials.failed))


if __name__ == "__main__":
    main()
