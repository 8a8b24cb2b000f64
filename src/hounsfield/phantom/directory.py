"""The phantom on an exchange medium: a DICOMDIR (PS3.10 8, PS3.3 F), and files where it says, or not."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import UID

from hounsfield.phantom.headers import uid
from hounsfield.phantom.spec import PhantomSpec


def write_with_dicomdir(spec: PhantomSpec, found: list[Dataset], folder: Path) -> list[Path]:
    """Write `found` and their DICOMDIR into `folder`; the paths of the files, in the order of `found`."""
    files = FileSet()
    files.UID = UID(uid(spec, "file set"))
    files.ID = "PHANTOM"
    for dataset in found:
        files.add(dataset)
    files.write(folder)
    # Staged files lie in a temporary folder that would warn of being left to the garbage collector.
    files._stage["t"].cleanup()
    place = {instance.SOPInstanceUID: Path(instance.path) for instance in files}
    paths = [place[dataset.SOPInstanceUID] for dataset in found]
    if spec.dicomdir == "good":
        return paths
    moved = []
    for number, path in enumerate(paths, start=1):
        if spec.dicomdir == "lowercase":
            target = folder / path.relative_to(folder.resolve()).as_posix().lower()
        else:
            target = folder / "images" / f"slice{number}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        moved.append(target)
    for empty in sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True):
        if not any(empty.iterdir()):
            empty.rmdir()
    return moved
