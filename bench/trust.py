"""Cost of the verdict of physics on a series, beside SimpleITK reading all of it; by the clock, and CPU."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import median_seconds
from real_slices import add_data_option

REPEATS = 7
SERIES = ("philips_phantom/S21570/S2010", "philips_phantom/S21570/S2020", "philips_phantom/S21610/S2010")


def statistics_by_simpleitk(folder: Path) -> Any:
    """Minimum, maximum and mean of all voxels: the least that somebody does who looks whether it is HU."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    looked = SimpleITK.StatisticsImageFilter()
    looked.Execute(reader.Execute())
    return looked.GetMinimum(), looked.GetMaximum(), looked.GetMean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_option(parser)
    data = parser.parse_args().data
    import hounsfield

    print(f"{'series':<30} {'verdict':<11} {'physics ms':>11} {'CPU':>6} {'SimpleITK ms':>13} {'CPU':>6}")
    for name in SERIES:
        series = hounsfield.scan(data / name).choose()
        found = series.plausibility()
        ours, ours_cpu = both_clocks(series.plausibility, REPEATS)
        peer, peer_cpu = both_clocks(lambda folder=data / name: statistics_by_simpleitk(folder), 3)
        verdict = found.verdict if found else "–"
        print(f"{name:<30} {verdict:<11} {ours:>11.1f} {ours_cpu:>6.1f} {peer:>13.1f} {peer_cpu:>6.1f}")


def both_clocks(function: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median milliseconds by the wall and of this process on all cores."""
    begin = time.process_time()
    wall = median_seconds(function, repeats=repeats)
    return wall * 1e3, (time.process_time() - begin) / repeats * 1e3


if __name__ == "__main__":
    main()
