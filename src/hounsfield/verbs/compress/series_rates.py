"""The rate of each series of which a ratio is asked in total, found when its first file is about to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hounsfield.ct.instance import Source
from hounsfield.errors import HounsfieldError
from hounsfield.runs import available_cores
from hounsfield.transcode import CommonRate, Target, common_rate


class SeriesRates:
    """For files that come series by series; `series` has the names of the files of each, with their sources.

    `original_of` gives what a source was before anything was done to it.
    """

    def __init__(
        self,
        target: Target,
        series: Iterable[Sequence[tuple[str, Source]]],
        original_of: Callable[[Source], Source] = lambda source: source,
    ) -> None:
        self._target, self._original_of = target, original_of
        self._series: dict[str, Sequence[tuple[str, Source]]] = {}
        if target.is_over_series:
            self._series = {name: members for members in series for name, _ in members}
        self._latest: Sequence[tuple[str, Source]] = ()
        self._rate: CommonRate | HounsfieldError | None = None

    def of(self, name: str) -> CommonRate | HounsfieldError | None:
        """That of the series of a file, or why there is none; None where each image is for itself."""
        members = self._series.get(name)
        if members is None:
            return None
        if members is not self._latest:
            self._latest = members
            self._rate = self._found([self._original_of(source) for _, source in members])
        return self._rate

    def _found(self, sources: Sequence[Source]) -> CommonRate | HounsfieldError | None:
        with ThreadPoolExecutor(available_cores()) as pool:
            try:
                return common_rate(sources, self._target, mapper=pool.map)
            except HounsfieldError as error:
                return error
