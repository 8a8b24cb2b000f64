"""A plan for a whole archive: counted by headers, measured on samples of each kind of image in it.

Files are sorted into strata (modality, SOP class, pixels, syntax now), so that a mixed tree is never judged by one of
its kinds. Of each a random sample is kept while the headers go by; then samples are transcoded, more of those strata
that the sum is least certain of, until the sum is certain enough. What the chosen target makes is measured on all of
them; the other syntaxes on a few, beside it, since the ratio of two sizes of one image varies little.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hounsfield.codecs import PixelKind, holders
from hounsfield.codecs.pixel_kinds import held_rows
from hounsfield.ct.instance import Header, Skipped, Source
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError
from hounsfield.locations.headers import read_headers
from hounsfield.runs import available_cores, run_each, threads
from hounsfield.runs.digest import size_of_source
from hounsfield.transcode import Target, Transcoder, target
from hounsfield.transcode.pixels import decoded_format

CERTAIN = 0.02
"""The sum is certain enough when its 95 % confidence interval is this part of it to either side."""

MOST_SAMPLES = 256
"""Of one stratum; where it has no more files than that, all may be measured and the sum be exact."""

FIRST_SAMPLES, MORE_SAMPLES = 6, 8
COMPARED_SAMPLES, COMPARED_BYTES = 4, 64 << 20
"""On how many samples of a stratum every syntax is tried, and no more than one once they are this large."""

_SEED = 20261201


class Kind(NamedTuple):
    """The kind of a stratum; `pixels` is "" where there are none, and tells bits, sign and colour."""

    modality: str
    sop_class: str
    pixels: str
    syntax: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One sample: bytes before and after, seconds; `after` by keyword, "" for what is chosen. `note`: why it stays."""

    before: int
    sizes: Mapping[str, int]
    seconds: Mapping[str, float]
    chosen: str
    note: str = ""


@dataclass(slots=True)
class Stratum:
    """Files of one kind: counted, and some of them measured. `unsized` are those whose place does not tell a size."""

    kind: Kind
    holders: tuple[str, ...] = ()
    files: int = 0
    unsized: int = 0
    frames: int = 0
    sized_bytes: int = 0
    native_bytes: int = 0
    tried: int = 0
    samples: list[Source] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)

    def keep(self, source: Source, chance: random.Random) -> None:
        """Count one more file among those that may be sampled, each with the same chance."""
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(source)
        elif (place := chance.randrange(self.files)) < MOST_SAMPLES:
            self.samples[place] = source

    @property
    def bytes(self) -> float:
        """Of all files now; of a server's the samples tell."""
        known = [each.before for each in self.measured]
        return self.sized_bytes + (self.unsized * statistics.fmean(known) if self.unsized and known else 0)

    @property
    def after(self) -> float:
        """Bytes of all files, once they are what was chosen for them."""
        before = sum(each.before for each in self.measured)
        return self.bytes * sum(each.sizes[""] for each in self.measured) / before if before else self.bytes

    @property
    def deviation(self) -> float:
        """Standard error of `after`, in bytes: of a ratio estimator, 0 where every file was measured."""
        count = len(self.measured)
        if count >= self.files or count < 2 or not self.after:
            return 0.0 if count >= self.files or not self.samples else self.bytes / 2
        ratio = self.after / self.bytes
        squares = sum((each.sizes[""] - ratio * each.before) ** 2 for each in self.measured)
        rest = 1 - count / self.files
        return self.files * math.sqrt(rest * squares / (count * (count - 1)))

    def seconds_of(self, keyword: str) -> float:
        """Of one core, for all files: by the median of the samples, which a busy moment does not move."""
        rates = [each.seconds[keyword] / each.before for each in self.measured if keyword in each.seconds]
        return statistics.median(rates) * self.bytes if rates else 0.0

    def bytes_as(self, keyword: str) -> float | None:
        """Bytes of all files in one syntax; None where it does not hold them."""
        both = [each for each in self.measured if keyword in each.sizes]
        chosen = sum(each.sizes[""] for each in both)
        return self.after * sum(each.sizes[keyword] for each in both) / chosen if chosen else None

    @property
    def chosen(self) -> Counter[str]:
        return Counter(each.chosen for each in self.measured)

    @property
    def notes(self) -> Counter[str]:
        return Counter(each.note for each in self.measured if each.note)


@dataclass(slots=True)
class Plan:
    """All strata, the largest first; `cores` are this machine's, all of which were busy when it was measured."""

    strata: list[Stratum]
    skipped: int
    cores: int

    @property
    def after(self) -> float:
        return sum(stratum.after for stratum in self.strata)

    @property
    def uncertainty(self) -> float:
        """Half of the 95 % confidence interval of `after`, in bytes."""
        return 1.96 * math.sqrt(sum(stratum.deviation**2 for stratum in self.strata))

    def hours(self, keyword: str = "", *, cores: int | None = None) -> float:
        """On so many cores (this machine's), for what is chosen, or for one syntax where it holds the files."""
        return sum(stratum.seconds_of(keyword) for stratum in self.strata) / (cores or self.cores) / 3600


def make_plan(
    sources: Iterable[Source | Skipped],
    goal: Target,
    *,
    seen: Callable[[], object] = lambda: None,
    done: Callable[[], object] = lambda: None,
) -> Plan:
    """Count all `sources`, and measure as many of each kind as the sum needs. Sources that are no DICOM are left out.

    `seen` is called after each header, `done` after each sample. Raises what listing the sources does.
    """
    strata, skipped = counted(sources, seen)
    plan = Plan(strata, skipped, available_cores())
    batch = [(stratum, FIRST_SAMPLES) for stratum in plan.strata]
    while batch:
        jobs = [job for stratum, count in batch for job in _jobs(stratum, count)]
        engine = threads(plan.cores)  # all at work, as they will be
        for finished in run_each(_Measure(goal), jobs, engine):
            if finished.value is not None:
                finished.item.stratum.measured.append(finished.value)
            done()
        batch = _uncertain(plan)
    plan.strata.sort(key=lambda each: -each.bytes)
    return plan


def counted(sources: Iterable[Source | Skipped], seen: Callable[[], object]) -> tuple[list[Stratum], int]:
    """The strata of `sources` by their headers, and how many are no instance."""
    strata: dict[Kind, Stratum] = {}
    chance = random.Random(_SEED)  # noqa: S311 (a sample that is the same each time)
    skipped: list[Skipped] = []
    for instance in read_headers(sources, skipped):
        source, header = instance.source, instance.header
        try:
            size = size_of_source(source)
        except HounsfieldError as error:
            skipped.append(Skipped(source.name, error.found))
            continue
        kind, held = _kind(header)
        stratum = strata.setdefault(kind, Stratum(kind, held))
        stratum.files += 1
        stratum.sized_bytes += size
        stratum.unsized += not size
        if kind.pixels:
            frames = header.number_of_frames
            stratum.frames += frames
            stratum.native_bytes += _native_bytes(header) * frames
            stratum.keep(source, chance)
        seen()
    return list(strata.values()), len(skipped)


def _kind(header: Header) -> tuple[Kind, tuple[str, ...]]:
    """The stratum of an image, and the compressed syntaxes that lose nothing and hold it."""
    pixels, held = "", tuple[str, ...]()
    if header.pixels is not None or "Rows" in header:
        try:
            kind = PixelKind.of(decoded_format(header))
            pixels = str(kind)
            held = tuple(each.keyword for each in holders(kind, lossless=True) if held_rows(each.keyword))
        except HounsfieldError:
            pixels = "pixels of an unknown kind"
    sop_class, modality = header.text("SOPClassUID"), header.text("Modality")
    try:
        syntax = transfer_syntax(header.transfer_syntax).keyword
    except HounsfieldError:
        syntax = header.transfer_syntax
    return Kind(modality, sop_class, pixels, syntax), held


def _native_bytes(header: Header) -> int:
    try:
        return decoded_format(header).native_bytes
    except HounsfieldError:
        return 0


@dataclass(frozen=True, slots=True)
class _Job:
    stratum: Stratum
    source: Source
    others: tuple[str, ...]


def _jobs(stratum: Stratum, count: int) -> Iterator[_Job]:
    """The next samples; on the first of them the other syntaxes are tried too."""
    begun = stratum.tried
    large = stratum.files and stratum.native_bytes / stratum.files * COMPARED_SAMPLES > COMPARED_BYTES
    compared = 1 if large else COMPARED_SAMPLES
    order = random.Random(_SEED).sample(range(len(stratum.samples)), len(stratum.samples))  # noqa: S311 (as above)
    stratum.tried = min(begun + count, len(order))
    for number in range(begun, stratum.tried):
        yield _Job(stratum, stratum.samples[order[number]], stratum.holders if number < compared else ())


def _uncertain(plan: Plan) -> list[tuple[Stratum, int]]:
    """Of which strata more samples are needed; none once the sum is certain enough."""
    if plan.uncertainty <= CERTAIN * plan.after:
        return []
    open_ = [each for each in plan.strata if each.tried < len(each.samples) and each.deviation]
    open_.sort(key=lambda each: -each.deviation)
    total = sum(each.deviation**2 for each in open_)
    chosen, covered = [], 0.0
    for stratum in open_:
        if covered > 0.8 * total:
            break
        chosen.append((stratum, max(MORE_SAMPLES, stratum.tried)))
        covered += stratum.deviation**2
    return chosen


class _Measure:
    """The measurement of one sample."""

    def __init__(self, goal: Target) -> None:
        self.goal = goal

    def __call__(self, job: _Job) -> Measured:
        with job.source.open() as stream:
            before = len(stream.read())
        sizes, seconds = {"": before}, {}
        chosen, note = job.stratum.kind.syntax, ""
        begun = time.perf_counter()
        try:
            result = Transcoder().transcode(job.source, self.goal)
            sizes[""], chosen, note = len(result.content), result.after, "" if result.changed else result.why
        except HounsfieldError as error:
            note = error.found
        seconds[""] = time.perf_counter() - begun
        for keyword in job.others:
            begun = time.perf_counter()
            try:
                sizes[keyword] = len(Transcoder().transcode(job.source, target(keyword)).content)
            except HounsfieldError:
                continue
            seconds[keyword] = time.perf_counter() - begun
        return Measured(before, sizes, seconds, chosen, note)
