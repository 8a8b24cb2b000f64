"""`hounsfield demo`: a CT phantom of known Hounsfield units goes the whole way, is measured, and is shown.

Nothing is faked: the phantom is written as DICOM files, read back like anybody's, and the rods are looked up by
their place in the patient. When one is off by more than its tolerance, the exit status is 1.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli.options import as_json, examples, force, lang
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.ct.volume import Volume
    from hounsfield.phantom import InsertMeasurement, PhantomSpec

NAMES_ZH = {
    "air": "空气",
    "pmp": "聚甲基戊烯 PMP",
    "ldpe": "低密度聚乙烯 LDPE",
    "polystyrene": "聚苯乙烯",
    "water": "水",
    "acrylic": "亚克力 PMMA",
    "delrin": "聚甲醛 Delrin",
    "teflon": "聚四氟乙烯 Teflon",
}
NAMES_EN = {"air": "Air", "pmp": "PMP", "ldpe": "LDPE", "polystyrene": "Polystyrene", "water": "Water"} | {
    "acrylic": "Acrylic",
    "delrin": "Delrin",
    "teflon": "Teflon",
}
WORDS = {
    "en": {
        "wrote": "Wrote     {files} DICOM files: slices in no order, {padding} outside the circle, "
        "a scout and a dose page among them",
        "read": "Read      {shape} voxels of {spacing} mm, {verdict}, in {seconds:.1f} s",
        "padded": "Padding   {padded:,} voxels outside the circle are −1024 HU",
        "left out": "Left out  {name}: {reason}",
        "insert": "Insert",
        "nominal": "Nominal HU",
        "measured": "Measured HU",
        "difference": "Difference",
        "verdict": "Verdict",
        "agrees": "agrees",
        "off": "OFF",
        "all": "All {count} inserts agree with their nominal HU.",
        "some": "{off} of {count} inserts are off by more than their tolerance.",
        "dicom": "the DICOM files",
        "volume": "the volume in HU",
        "picture": "three planes of it",
        "next": "Try next:",
        "browser": "In the browser, from an archive that takes files of your own as well:",
    },
    "zh": {
        "wrote": "写出    {files} 个 DICOM 文件：层序打乱，圆外填充 {padding}，混有定位像和剂量页各一",
        "read": "读入    {shape} 体素，{spacing} mm，{verdict}，用时 {seconds:.1f} 秒",
        "padded": "填充    圆外 {padded:,} 个体素为 −1024 HU",
        "left out": "未采用  {name}：{reason}",
        "insert": "插件",
        "nominal": "标称 HU",
        "measured": "实测 HU",
        "difference": "差值",
        "verdict": "结论",
        "agrees": "符合",
        "off": "超差",
        "all": "{count} 个插件的实测值均与标称值相符。",
        "some": "{count} 个插件中有 {off} 个超出容差。",
        "dicom": "DICOM 文件",
        "volume": "HU 体数据",
        "picture": "三个断面",
        "next": "接下来可以试试：",
        "browser": "在浏览器中查看（这个存档也可以接收您自己的文件）：",
    },
}
"""Printed texts, by language. −1024 is what `hounsfield` puts where nothing was imaged."""

FAILED = 1


@dataclass(frozen=True)
class Outcome:
    """The files that the demonstration wrote, and what was read and measured."""

    files: int
    left_out: tuple[Skipped, ...]
    volume: Volume
    measured: list[InsertMeasurement]
    seconds: float

    @property
    def off(self) -> int:
        """Return how many rods are not within their tolerance."""
        return sum(not one.agrees for one in self.measured)


@click.command(
    epilog=examples("hounsfield demo", "hounsfield demo --view", "hounsfield demo --out phantom --lang zh")
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder to write into.",
)
@click.option(
    "--view/--no-view",
    "view",
    default=None,
    help="Open it in the browser, until Ctrl+C; by default on a terminal with a desktop.",
)
@click.option(
    "--phantom",
    type=click.Choice(
        ["catphan503", "catphan504", "catphan600", "catphan604", "catphan700", "acr464", "water"]
    ),
    help="A phantom of the field in place of ours: OUT gets its DICOM files and truth.json, for `qa`.",
)
@force
@lang
@as_json
@click.pass_context
def demo(
    ctx: click.Context,
    out: Path,
    view: bool | None,
    phantom: str | None,
    force: bool,
    lang: str,
    as_json: bool,
) -> None:
    """Make a CT phantom of known Hounsfield units, measure it, and look at it.

    Writes DICOM, reads it back, converts it to NIfTI, draws it, and prints measured against nominal HU of
    every insert; then serves it as an archive and opens the viewer, where there is a browser to open. The
    exit status is 1 when an insert is off.
    """
    from hounsfield.cli.showing import has_browser
    from hounsfield.outputs import whole_folder

    if phantom is not None:
        _of_the_field(phantom, out, force, as_json)
        return
    with whole_folder(out, force=force) as folder:
        outcome = _go(folder)
    if as_json:
        _print_json(out, outcome)
    else:
        _print(out, outcome, WORDS[lang], NAMES_ZH if lang == "zh" else NAMES_EN)
    if view or (view is None and not as_json and sys.stdout.isatty() and has_browser()):
        _view(out, outcome, lang)
    if outcome.off:
        ctx.exit(FAILED)


def _of_the_field(phantom: str, out: Path, force: bool, as_json: bool) -> None:
    """Write a scan of a phantom of the field, turned a little, and what an analysis ought to find in it."""
    import shlex

    from hounsfield.cli.terminal import echo, print_json, progress
    from hounsfield.outputs import whole_folder
    from hounsfield.phantom.qa import Scan, truth, write

    scan = Scan(
        model=phantom, shape=(90, 320, 320), spacing=(2.5, 0.72, 0.72), thickness=2.5, noise=8.0, roll=3.0
    )
    with whole_folder(out, force=force) as folder, progress("Phantom"):
        files = write(scan, folder)
    if as_json:
        print_json({"files": len(files), "folder": str(out), "truth": truth(scan)})
    else:
        echo(say("{count} DICOM files and truth.json: {out}", count=len(files), out=out))
        echo(say("  {command} qa {quote}", command=_command(), quote=shlex.quote(str(out))))


def _view(out: Path, outcome: Outcome, lang: str) -> None:
    """The phantom in an archive of its own beside it, its files indexed where they lie, until Ctrl+C."""
    from urllib.parse import urlencode

    from hounsfield.cli.showing import has_browser, show
    from hounsfield.cli.terminal import echo
    from hounsfield.server.deployment import Deployment

    deployment = Deployment(str(out / "archive"))
    archive = deployment.open(first=True)
    try:
        watched = deployment.watched(archive)
        watched.add([out / "dicom"])
        watched.look(settled=True)
        header = outcome.volume.header
        shown = {"study": header["StudyInstanceUID"], "series": header["SeriesInstanceUID"], "lang": lang}
        echo()
        echo(WORDS[lang]["browser"])
        show(deployment.app(archive), f"#/?{urlencode(shown)}", browser=has_browser())
    finally:
        deployment.close(archive)


def demo_spec() -> PhantomSpec:
    """A scan such as hospitals have: slices in no order, a padded circle, a scout and a dose page among them."""
    from hounsfield.phantom import PhantomSpec

    return PhantomSpec(rows=512, columns=512, slices=60, order="shuffled", localizers=1, dose_pages=1)


def _go(folder: Path) -> Outcome:
    from hounsfield import load, phantom, scan, write_volume
    from hounsfield.cli.terminal import progress
    from hounsfield.ct.windowing import window
    from hounsfield.pictures import Look, planes_picture, write_picture

    with progress("Phantom", total=4) as done:
        files = phantom.write(demo_spec(), folder / "dicom")
        done()
        started = time.perf_counter()
        found = scan(folder / "dicom")
        volume = load(folder / "dicom")
        seconds = time.perf_counter() - started
        done()
        write_volume(volume, folder / "phantom.nii.gz")
        done()
        picture = planes_picture(volume, center=(0.0, 40.0, 6.0), look=Look(window=window("50/800")))
        write_picture(picture, folder / "phantom.png")
        done()
    left_out = (*found.choose().left_out, *found.skipped)
    return Outcome(len(files), left_out, volume, phantom.measure(volume), seconds)


def _print(out: Path, outcome: Outcome, words: dict[str, str], names: dict[str, str]) -> None:
    from hounsfield.cli.terminal import echo

    volume = outcome.volume
    echo(words["wrote"].format(files=outcome.files, padding=demo_spec().padding))
    echo(
        words["read"].format(
            shape=" × ".join(str(size) for size in volume.array.shape),
            spacing=" × ".join(f"{step:.3g}" for step in volume.spacing),
            verdict=volume.report.verdict,
            seconds=outcome.seconds,
        )
    )
    echo(words["padded"].format(padded=volume.report.padded))
    for one in outcome.left_out:
        echo(words["left out"].format(name=Path(one.name).name, reason=one.reason))
    echo()
    _print_inserts(outcome, words, names)
    echo()
    for name, path in _places(out).items():
        echo(f"{path!s:<30}  {words[name]}")
    suggestions = _suggestions(out)
    if suggestions:
        echo()
        echo(words["next"])
        for line in suggestions:
            echo(f"  {line}")


def _print_inserts(outcome: Outcome, words: dict[str, str], names: dict[str, str]) -> None:
    from hounsfield.cli.terminal import Column, echo, table

    rows = [
        {
            "insert": names[one.name],
            "nominal": f"{one.nominal:.0f}",
            "measured": f"{_tenths(one.mean):.1f} ± {one.sd:.1f}",
            "difference": f"{_tenths(one.difference):+.1f}",
            "verdict": words["agrees" if one.agrees else "off"],
        }
        for one in outcome.measured
    ]
    columns = [Column("insert", words["insert"])]
    columns += [Column(key, words[key], "right") for key in ("nominal", "measured", "difference")]
    table(rows, [*columns, Column("verdict", words["verdict"])])
    echo()
    echo(words["some" if outcome.off else "all"].format(count=len(outcome.measured), off=outcome.off))


def _tenths(hu: float) -> float:
    """Rounded to what is shown, so that no zero has a minus."""
    return round(hu, 1) + 0.0


def _print_json(out: Path, outcome: Outcome) -> None:
    from hounsfield.cli.terminal import print_json

    inserts: list[dict[str, Any]] = [
        {
            "name": one.name,
            "nominal": one.nominal,
            "mean": round(one.mean, 3),
            "sd": round(one.sd, 3),
            "count": one.count,
            "difference": round(one.difference, 3),
            "tolerance": round(one.tolerance, 3),
            "agrees": one.agrees,
        }
        for one in outcome.measured
    ]
    print_json(
        {
            "agrees": outcome.off == 0,
            "inserts": inserts,
            "files": outcome.files,
            "left_out": [{"name": Path(one.name).name, "reason": one.reason} for one in outcome.left_out],
            "shape": list(outcome.volume.array.shape),
            "spacing": list(outcome.volume.spacing),
            "report": outcome.volume.report.to_json(),
            "written": {name: str(path) for name, path in _places(out).items()},
        }
    )


def _places(out: Path) -> dict[str, Path]:
    return {"dicom": out / "dicom", "volume": out / "phantom.nii.gz", "picture": out / "phantom.png"}


def _suggestions(out: Path) -> list[str]:
    """Commands that work on what was written; only verbs that there are."""
    import shlex

    from hounsfield.cli import main

    place = shlex.quote(str(out / "dicom"))
    verbs = main.list_commands(click.get_current_context())
    tries = {
        "info": f"info {place}",
        "tags": f"tags {place}",
        "image": f"image {place} {shlex.quote(str(out / 'bone.png'))} --window bone",
        "view": f"view {place}",
    }
    command = _command()
    return [f"{command} {line}" for verb, line in tries.items() if verb in verbs]


def _command() -> str:
    """`hounsfield` if a shell would find it; after `make demo` it may only be in .venv."""
    import shlex
    import shutil

    started = Path(sys.argv[0])
    if shutil.which("hounsfield") or started.stem != "hounsfield" or not started.is_file():
        return "hounsfield"
    with contextlib.suppress(ValueError):
        started = started.absolute().relative_to(Path.cwd())
    return shlex.quote(str(started))
