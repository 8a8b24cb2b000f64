"""One rate for all images of a series at which their ratio is met in total.

A series is looked at as a whole, and losses that differ from slice to slice would show; of single slices some are all
air and others all bone. So the rate is found on a few of them, tried on all, and mended until the total is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hounsfield.codecs import FrameFormat, Rate
from hounsfield.ct.instance import Source
from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.compression import Transcoder
from hounsfield.transcode.search import GOOD_ENOUGH, RATIO_TOLERANCE, CommonRate, LossySearch
from hounsfield.transcode.target import Target

_SAMPLE = 9  # images, spread over the series
_TRIES = 5

Mapper = Callable[[Callable[[Source], Any], Iterable[Source]], Iterator[Any]]
"""As the built-in `map`; that of a pool of threads uses all cores."""


def common_rate(sources: Sequence[Source], target: Target, *, mapper: Mapper = map) -> CommonRate | None:
    """The rate for all of `sources`, of which `target` asks a ratio; None where it does not, or of fewer than two.

    Of several syntaxes or kinds of images in one series, which is odd, that of most images decides; the others are
    for themselves. Raises `UnsupportedError` where no rate comes within 10 % of the ratio.
    """
    sample = _sample(sources, target) if len(sources) > 1 else None
    if sample is None:
        return None
    ratio, keyword = sample.target.ratio, sample.syntax.keyword
    assert ratio is not None
    wanted, best = ratio, (0.0, Rate())
    for _ in range(_TRIES):
        rate = sample.nearest_to(wanted)
        sizes = list(filter(None, mapper(partial(_size, target=target, keyword=keyword, rate=rate), sources)))
        found = sum(native for native, _ in sizes) / max(1, sum(stored for _, stored in sizes))
        if abs(found / ratio - 1) < abs(best[0] / ratio - 1):
            best = found, rate
        elif rate == best[1]:
            break
        if abs(found / ratio - 1) <= GOOD_ENOUGH:
            break
        wanted *= ratio / found
    if abs(best[0] / ratio - 1) > RATIO_TOLERANCE:
        raise UnsupportedError(
            say(
                "{keyword} comes no nearer to a ratio of {ratio} over this series than {best}",
                keyword=keyword,
                ratio=format(ratio, "g"),
                best=format(best[0], ".3g"),
            ),
            remedy="ask for another ratio, or use another lossy syntax",
            ratio=best[0],
        )
    return CommonRate(keyword, ratio, best[1])


def _sample(sources: Sequence[Source], target: Target) -> LossySearch | None:
    """A search over some frames of the series as if they were one image."""
    step = max(1.0, len(sources) / _SAMPLE)
    chosen = [sources[int(step * index + step / 2)] for index in range(min(_SAMPLE, len(sources)))]
    transcoder = Transcoder()
    found = [search for source in chosen if (search := transcoder.search(source, target)) is not None]
    if not found:
        return None
    kinds: Counter[_Kind] = Counter(map(_kind, found))
    kind = kinds.most_common(1)[0][0]
    alike = [search for search in found if _kind(search) == kind]
    cells = [frame for search in alike for frame in search.cells]
    scales = [scale for search in alike for scale in search.scales]
    return LossySearch(cells, scales, kind.form, alike[0].target)


@dataclass(frozen=True, slots=True)
class _Kind:
    keyword: str
    ratio: float | None
    form: FrameFormat


def _kind(search: LossySearch) -> _Kind:
    return _Kind(search.syntax.keyword, search.target.ratio, search.form)


def _size(source: Source, *, target: Target, keyword: str, rate: Rate) -> tuple[int, int] | None:
    """(native, coded) bytes of an image at a rate; None for one that is not coded so."""
    search = Transcoder().search(source, target)
    if search is None or search.syntax.keyword != keyword:
        return None
    return search.native_bytes, search.size_at(rate)
