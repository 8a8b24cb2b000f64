"""What `import hounsfield` offers, frozen; and what it must not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hounsfield
from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

ROOT_NAMES = [
    "Client",
    "HounsfieldError",
    "Instance",
    "Report",
    "Scan",
    "Series",
    "Skipped",
    "Volume",
    "__version__",
    "check",
    "copy",
    "errors",
    "find",
    "instances",
    "load",
    "masks",
    "open_location",
    "phantom",
    "qa",
    "register_pydicom",
    "scan",
    "write_volume",
]
HEAVY = ("numpy", "pydicom", "imagecodecs", "zarr", "nibabel", "rich", "click", "av", "PIL", "urllib3")


def test_root_offers_these_names_and_no_others() -> None:
    assert sorted(hounsfield.__all__) == ROOT_NAMES
    assert dir(hounsfield) == list(hounsfield.__all__)
    assert len(ROOT_NAMES) <= 25


def test_every_root_name_leads_somewhere_and_is_documented() -> None:
    for name in hounsfield.__all__:
        assert name == "__version__" or getattr(hounsfield, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(hounsfield, "hounsfeld")


def test_import_loads_nothing_heavy() -> None:
    script = f"import hounsfield, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_plain_files_are_loaded_without_pydicom(tmp_path: Path) -> None:
    phantom.write(PhantomSpec(rows=16, columns=16, slices=3), tmp_path)
    script = "import hounsfield, sys; hounsfield.load(sys.argv[1]); print('pydicom' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"  # it takes longer to import than a series to load


def test_every_error_of_the_tree_has_one_root() -> None:
    kinds = [kind for kind in vars(hounsfield.errors).values() if isinstance(kind, type)]
    exceptions = [kind for kind in kinds if issubclass(kind, BaseException)]
    assert len(exceptions) > 8
    assert all(issubclass(kind, hounsfield.HounsfieldError) for kind in exceptions)
