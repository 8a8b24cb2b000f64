"""Volumes → objects in a bucket: `s3://bucket/folder/name.nii.gz`, `gs://…`, `az://…`, by obstore.

Not a file system: an object appears whole when its upload ends. A file is written here first and then uploaded; a
Zarr goes up chunk by chunk, its describing metadata last. Credentials, region and endpoint come from the environment
(`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, …), never from an address.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hounsfield.errors import LocationError, OutputExistsError, UnsupportedError
from hounsfield.formats.zarr_package import zarr_package
from hounsfield.language import say
from hounsfield.outputs.scratch import ScratchFolder

SCHEMES = ("s3", "gs", "az")
_DESCRIPTION = "zarr.json"
_LONGEST_SAID = 250


def is_address(path: str | Path) -> bool:
    """Return whether an output is in a bucket rather than on a disk."""
    scheme, separator, _ = str(path).partition("://")
    return bool(separator) and scheme in SCHEMES


def upload(address: str, write: Callable[[Path], object], *, force: bool) -> None:
    """Let `write` make a file (and what it puts beside it) here, then upload it all.

    Raises `OutputExistsError` for an existing object without `force`, `LocationError` where the bucket refuses.
    """
    store, name = opened(address)
    _refuse_existing(address, force)
    with ScratchFolder() as folder:
        write(folder / name)
        # The one that was asked for comes last: where it is, all is.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == name):
            with telling(address):
                obstore_of().put(store, path.name, path)


@contextmanager
def zarr_store(address: str, *, force: bool) -> Iterator[Any]:
    """A Zarr store at the address. Errors as of `upload`; what is there already goes with `force`."""
    store_of = zarr_package("zarr.storage").ObjectStore
    opened(address)
    _refuse_existing(address, force)
    with telling(address):
        yield store_of(open_store(address))


def _refuse_existing(address: str, force: bool) -> None:
    if not force and size_of(address) is not None:
        raise OutputExistsError("exists already", where=address, remedy="give another name, or --force")


def size_of(address: str) -> int | None:
    """Bytes of an object, 0 for a Zarr that is complete, None where neither is."""
    store, name = opened(address)
    obstore = obstore_of()
    for key in (name, f"{name}/{_DESCRIPTION}"):
        try:
            found = obstore.head(store, key)
        except FileNotFoundError:
            continue
        except Exception as error:
            raise _refused(address, error) from error
        return int(found["size"]) if key == name else 0
    return None


def opened(address: str) -> tuple[Any, str]:
    """The store of the folder that the address is in, and the name there."""
    folder, _, name = address.rstrip("/").rpartition("/")
    if not name or folder.endswith(("/", ":")):
        raise LocationError(
            "names a bucket, not an object in it", where=address, remedy="give a name below it"
        )
    return open_store(folder), name


def open_store(address: str) -> Any:
    """The store of a bucket, or of a folder in it. Raises `LocationError`."""
    obstore_of()
    try:
        return importlib.import_module("obstore.store").from_url(address)
    except Exception as error:
        raise _refused(address, error) from error


def obstore_of() -> Any:
    """The library, which is an extra."""
    try:
        return importlib.import_module("obstore")
    except ImportError as error:
        raise UnsupportedError(
            "buckets need obstore", expected="a path", remedy="pip install 'hounsfield[s3]'"
        ) from error


@contextmanager
def telling(address: str) -> Iterator[None]:
    """Raise what a bucket says against it as one of our errors; obstore's own share no root but Exception."""
    try:
        yield
    except Exception as error:
        if isinstance(error, FileNotFoundError) or type(error).__module__.startswith("obstore"):
            raise _refused(address, error) from error
        raise


def _refused(address: str, error: Exception) -> LocationError:
    said = str(error).strip().partition("\n")[0][:_LONGEST_SAID]
    return LocationError(
        say("the bucket refuses: {said}", said=said),
        where=address,
        remedy="check the address, the credentials in the environment, and AWS_ENDPOINT_URL if it is not Amazon's",
    )
