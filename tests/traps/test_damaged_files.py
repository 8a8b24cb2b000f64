"""One damaged file among good ones: no verb ends in a traceback, and each still does its work on the good ones.

Headers are mutated by a generator with a fixed seed, so that a failure can be looked at again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec, write

GOOD = PhantomSpec(rows=8, columns=8, slices=2, series_number=7, seed=5)
SPECS: tuple[dict[str, Any], ...] = (
    {},
    {"transfer_syntax": "implicit"},
    {"transfer_syntax": "explicit-big-endian"},
    {"transfer_syntax": "deflated"},
    {"transfer_syntax": "rle"},
    {"multiframe": "enhanced"},
    {"modality_lut": True},
    {"private_tags": True, "character_set": "ISO_IR 192", "patient_name": "体模^亨氏"},
)
LYING = (
    *(
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\xff\xff\xff\x7f",
        b"SQ\0\0\xff\xff\xff\xff",
        b"UN\0\0",
        b"  \x04\0",
    ),
    *(b"\xfe\xff\x00\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x0d\xe0\0\0\0\0"),
    *(b"9999", b"1e99", b"\\\\\\\\", b"1,5", b"\x1b$B", b"\x85\x1c\x0b", b"\xe2\x80\xa8"),
)
MUTANTS = 24


def mutated(content: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """Bytes of the header changed, cut out, put in, or taken from another file."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(132, min(len(data), 1600))
        token, other = draw.choice(LYING), draw.choice(others)
        kind = draw.randrange(5)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at : at + len(token)] = token
        elif kind == 2:
            data[at:at] = token
        elif kind == 3:
            del data[at : at + draw.choice((1, 2, 4, 8, 100))]
        else:
            begin = draw.randrange(132, min(len(other), 1200))
            data[at:at] = other[begin : begin + draw.choice((2, 8, 64, 300))]
    return bytes(data)


@dataclass(frozen=True)
class Place:
    """A folder of two good files and a damaged one between them."""

    folder: Path
    out: Path

    def run(self, verb: str, *arguments: str) -> Result:
        done = CliRunner().invoke(main, [verb, str(self.folder), *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output
        assert "is a bug" not in done.output
        return done


def _found(place: Place) -> None:
    more = "KVP,PixelPaddingValue,RequestAttributesSequence,PatientName"
    rows = json.loads(place.run("find", "--level", "instance", "--fields", more, "--json").stdout)
    assert sum(row["SeriesNumber"] == "7" for row in rows) >= 2


def _tagged(place: Place) -> None:
    models = json.loads(place.run("tags", "--json", "--all-instances").stdout)
    assert sum(model.get("00200011", {}).get("Value") == [7] for model in models) >= 2
    assert place.run("tags", "--all-instances").stdout.count("(0020,0013)") >= 2
    place.run("tags", "--format", "csv")
    place.run("tags", "--json")


def _informed(place: Place) -> None:
    told = json.loads(place.run("info", "--json").stdout)
    assert any(series["slices"] >= 2 for series in told["series"])


def _made(verb: str, *options: str, pattern: str = "*", count: int = 2) -> Callable[[Place], None]:
    def made(place: Place) -> None:
        place.run(verb, str(place.out), *options)
        files = [path for path in place.out.rglob(pattern) if path.is_file() and _is_made(path)]
        assert len(files) >= count

    return made


def _is_made(path: Path) -> bool:
    return path.suffix in {".gz", ".png"} or path.read_bytes()[128:132] == b"DICM"


def _edited(place: Place) -> None:
    place.run("tags", "--set", "PatientID=other", "--out", str(place.out))
    assert len([path for path in place.out.rglob("*") if path.is_file()]) >= 2


VERBS: dict[str, Callable[[Place], None]] = {
    "find": _found,
    "tags": _tagged,
    "info": _informed,
    "volume": _made("volume", pattern="*.nii.gz", count=1),
    "image": _made("image", pattern="*.png", count=1),
    "compress": _made("compress", "--to", "rle"),
    "copy": _made("copy"),
    "deidentify": _made("deidentify", "--workers", "1"),
    "tags --set": _edited,
}


@pytest.mark.parametrize("verb", [*VERBS])
def test_one_damaged_file_ends_no_verb(verb: str, tmp_path: Path) -> None:
    seeds = [
        sorted(write(PhantomSpec(rows=8, columns=8, slices=2, **spec), tmp_path / f"seed{number}"))[
            0
        ].read_bytes()
        for number, spec in enumerate(SPECS)
    ]
    good = [path.read_bytes() for path in sorted(write(GOOD, tmp_path / "good"))]
    draw = random.Random(14)
    for number in range(MUTANTS):
        place = Place(tmp_path / f"in{number}", tmp_path / f"out{number}")
        place.folder.mkdir()
        (place.folder / "a.dcm").write_bytes(good[0])
        (place.folder / "b.dcm").write_bytes(mutated(draw.choice(seeds), seeds, draw))
        (place.folder / "c.dcm").write_bytes(good[1])
        VERBS[verb](place)


def test_separators_of_lines_within_a_value_stay_in_json(tmp_path: Path) -> None:
    spec = PhantomSpec(
        rows=8, columns=8, slices=1, character_set="ISO_IR 192", series_description="a\u2028b\x85c"
    )
    write(spec, tmp_path)
    told = CliRunner().invoke(main, ["tags", str(tmp_path), "--json", "--all-instances"])
    assert json.loads(told.stdout)[0]["0008103E"]["Value"] == ["a\u2028b\x85c"]
