"""A file without integer pixels in the encoding of another transfer syntax: the same elements, and nothing else."""

from __future__ import annotations

from hounsfield.ct.instance import BytesSource, Source, read_instance
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError
from hounsfield.transcode.part10 import inflated, read_part10, recoded, write_part10


def reencoded(source: Source, syntax: TransferSyntax) -> bytes:
    """`source` as a file in `syntax`. Raises `MalformedError` where it cannot be taken apart, `LocationError`."""
    try:
        with source.open() as stream:
            content = stream.read()
        held = BytesSource(source.name, content)
        header = read_instance(held).header
        part = read_part10(content, inflated(held, header))
        return write_part10(recoded(part, syntax), syntax, {})
    except HounsfieldError as error:
        error.at(source.name)
        raise
