"""What headers cost: `find`, `copy`, `compress --plan`, `tags`, an Enhanced CT beside its frames as files; CPU a file.

Beside each verb the least that pydicom needs for the same: nine attributes of each file, and every element as JSON.
Files are read once before, so that the disk plays no part.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from real_slices import add_data_option, write_big_exam

REPEATS = 5
SLICES = 600
FRAMES = 2000
NINE = (
    *("Modality", "SeriesNumber", "InstanceNumber", "Rows", "Columns", "SOPClassUID"),
    *("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
)


def find(folder: Path) -> int:
    from hounsfield.verbs.find import find as search
    from hounsfield.verbs.find import row

    return len([row(each, NINE) for each in search(folder, level="instance")])


def tags_json(folder: Path) -> int:
    from hounsfield.cli.tags.listings import instances_by_series, models, write_models

    out = io.StringIO()
    series = instances_by_series(str(folder), [])
    write_models(models(series, all_instances=True, tell=print), out)
    return len(out.getvalue())


def tags_text(folder: Path) -> int:
    from hounsfield.attributes import write_lines
    from hounsfield.cli.tags.listings import instances_by_series, listings

    out = io.StringIO()
    series = instances_by_series(str(folder), [])
    write_lines(listings(series, language="en", all_instances=True, tell=print), out)
    return len(out.getvalue())


def copy(folder: Path) -> int:
    from hounsfield.locations import as_location
    from hounsfield.verbs.copy.origins import Origin

    return sum(task.count for task in Origin(as_location(str(folder)), "*").tasks([]))


def plan(folder: Path) -> int:
    from hounsfield.locations import as_location
    from hounsfield.verbs.compress.planning import counted

    strata, _ = counted(as_location(str(folder)).sources(), lambda: None)
    return sum(stratum.files for stratum in strata)


def pydicom_nine(folder: Path) -> int:
    import pydicom

    read = (
        pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(NINE)) for path in folder.iterdir()
    )
    return len([[str(dataset.get(name)) for name in NINE] for dataset in read])


def pydicom_json(folder: Path) -> int:
    import pydicom

    read = (pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir())
    return len(json.dumps([dataset.to_json_dict() for dataset in read]))


def scan(folder: Path) -> int:
    import hounsfield

    return sum(len(series.slices) for series in hounsfield.scan(folder).series)


def cpu(function: Callable[[Path], Any], folder: Path) -> float:
    """Median seconds of this process's CPU."""
    function(folder)
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        function(folder)
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    from hounsfield.phantom import PhantomSpec, write

    parser = argparse.ArgumentParser(description=__doc__)
    add_data_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        exam, single, enhanced = (Path(temporary, name) for name in ("exam", "single", "enhanced"))
        write_big_exam(arguments.data, exam, SLICES)
        print(f"{'':44} CPU ms a file")
        for name, function in (
            ("scan", scan),
            ("find, nine attributes", find),
            ("copy, series of a folder", copy),
            ("compress --plan, counted", plan),
            ("pydicom, nine attributes", pydicom_nine),
            ("tags --all-instances", tags_text),
            ("tags --all-instances --json", tags_json),
            ("pydicom, every element as JSON", pydicom_json),
        ):
            print(f"{name:44} {cpu(function, exam) / SLICES * 1e3:13.3f}")
        spec = PhantomSpec(rows=8, columns=8, pixel_spacing=(0.5, 0.5), slices=FRAMES, slice_step=0.5)
        write(spec, single)
        write(replace(spec, multiframe="enhanced"), enhanced)
        print(f"\n{'':44} CPU seconds")
        print(f"{f'scan, {FRAMES} files':44} {cpu(scan, single):13.3f}")
        print(f"{f'scan, {FRAMES} frames of one Enhanced CT':44} {cpu(scan, enhanced):13.3f}")


if __name__ == "__main__":
    main()
