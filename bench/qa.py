"""Analysing a CatPhan 504 of 100 slices: `hounsfield.qa`, page included, beside pylinac in its own environment.

    python bench/qa.py --pylinac build/pylinac/bin/python

pylinac is no dependency: `python -m venv build/pylinac`, then `build/pylinac/bin/pip install pylinac`.
Also prints what each says of the same scan turned by 40° and mirrored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import hounsfield
from hounsfield.phantom.qa import Scan, write
from hounsfield.qa.page import page, pictures

WHOLE = Scan(model="catphan504", shape=(100, 512, 512), spacing=(2.0, 0.5, 0.5), noise=8.0, roll=1.0)
CASES = {"straight": {}, "roll of 40 degrees": {"roll": 40.0}, "mirrored": {"mirror": True}}
PYLINAC = """
import json, sys, time
from pylinac import CatPhan504
start = time.perf_counter()
scan = CatPhan504(sys.argv[1])
scan.analyze()
rois = {name: float(roi.pixel_value) for name, roi in scan.ctp404.rois.items()}
print(json.dumps({"seconds": time.perf_counter() - start, "roll": scan.catphan_roll, "rois": rois,
                  "nodes": scan.ctp404.avg_line_length}))
"""


def ours(folder: Path) -> dict[str, object]:
    start = time.perf_counter()
    volume = hounsfield.load(folder, clamp=False)
    result = hounsfield.qa.analyse(volume)
    page([("scan", result, pictures(volume, result))], [], [], [], "en")
    means = {name: insert.mean for name, insert in result.inserts.items()}
    nodes = result.details["geometry"]["mean"]
    return {"seconds": time.perf_counter() - start, "roll": result.roll, "rois": means, "nodes": nodes,
            "mirror": result.details["phantom"]["mirror"]}  # fmt: skip


def theirs(python: str, folder: Path) -> dict[str, object]:
    done = subprocess.run([python, "-c", PYLINAC, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pylinac", help="Python of an environment that has pylinac")
    chosen = options.parse_args()
    from dataclasses import replace

    with tempfile.TemporaryDirectory() as place:
        for name, how in CASES.items():
            folder = Path(place) / name.replace(" ", "-")
            write(replace(WHOLE, **how), folder)
            (folder / "truth.json").unlink()
            print(f"{name}\n  hounsfield {json.dumps(ours(folder))}")
            if chosen.pylinac:
                print(f"  pylinac    {json.dumps(theirs(chosen.pylinac, folder))}")


if __name__ == "__main__":
    main()
