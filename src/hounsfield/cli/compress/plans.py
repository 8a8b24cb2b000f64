"""`hounsfield compress LOCATION --plan`: what an archive would come to, by kinds of images, as tables or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hounsfield.cli.terminal import Column, bytes_text, echo, print_json, progress, table

if TYPE_CHECKING:
    from hounsfield.locations import Location
    from hounsfield.transcode import Target
    from hounsfield.verbs.compress import Plan, Stratum


def show_plan(place: Location, goal: Target, *, cores: int | None, as_json: bool) -> None:
    """Count and measure what is at `place`, and print what `goal`, and every syntax, would make of it."""
    from hounsfield.errors import LocationError
    from hounsfield.verbs.compress import make_plan

    with progress("Reading headers") as seen, progress("Measuring") as done:
        plan = make_plan(place.sources(), goal, seen=seen, done=done)
    if not plan.strata:
        raise LocationError("no DICOM file in it", where=place.name, remedy="check the location")
    if as_json:
        print_json(_told(plan, cores))
        return
    keywords = sorted({keyword for stratum in plan.strata for keyword in stratum.holders})
    table([_row(stratum, plan, keywords) for stratum in plan.strata], [
        Column("kind", "Images", folds=True), Column("files", "Files", "right"), Column("now", "Now", "right"),
        Column("after", "After", "right"), Column("hours", "Hours", "right"), Column("to", "To", folds=True),
        *(Column(keyword, keyword, "right") for keyword in keywords), Column("note", "What to know", folds=True),
    ])  # fmt: skip
    echo()
    table([_total(plan, keyword, cores) for keyword in ("", *keywords)], [
        Column("to", "All of it to"), Column("files", "Files it holds", "right"), Column("after", "After", "right"),
        Column("ratio", "Ratio", "right"), Column("hours", f"Hours on {plan.cores} cores", "right"),
        *([Column("on", f"on {cores}", "right")] if cores else []),
    ])  # fmt: skip
    echo(_summary(plan))


def _summary(plan: Plan) -> str:
    files = sum(stratum.files for stratum in plan.strata)
    sampled = sum(len(stratum.measured) for stratum in plan.strata)
    now = sum(stratum.bytes for stratum in plan.strata)
    line = f"{files:,} files, {bytes_text(now)} now, {bytes_text(plan.after)} ± {bytes_text(plan.uncertainty)} after"
    line += f"; measured on {sampled:,} of them. Hours are of computing; a slow disk takes longer."
    return line + (f" {plan.skipped:,} other files were left out." if plan.skipped else "")


def _row(stratum: Stratum, plan: Plan, keywords: list[str]) -> dict[str, Any]:
    sizes = {keyword: stratum.bytes_as(keyword) for keyword in keywords}
    return {
        "kind": " · ".join(filter(None, (stratum.kind.modality, _name(stratum.kind.sop_class),
                                         stratum.kind.pixels, stratum.kind.syntax))),
        "files": f"{stratum.files:,}",
        "now": bytes_text(stratum.bytes),
        "after": bytes_text(stratum.after),
        "hours": _hours(stratum.seconds_of("") / 3600 / plan.cores),
        "to": ", ".join(stratum.chosen) or "as it is",
        **{keyword: "–" if size is None else bytes_text(size) for keyword, size in sizes.items()},
        "note": "; ".join(f"{count} of {len(stratum.measured)} stay: {note}" for note, count in stratum.notes.items()),
    }  # fmt: skip


def _total(plan: Plan, keyword: str, cores: int | None) -> dict[str, Any]:
    held = [stratum for stratum in plan.strata if not keyword or stratum.bytes_as(keyword) is not None]
    after = _after(plan, keyword)
    now = sum(stratum.bytes for stratum in plan.strata)
    return {
        "to": keyword or "what was asked for",
        "files": f"{sum(stratum.files for stratum in held if stratum.measured):,}",
        "after": bytes_text(after),
        "ratio": f"{now / after:.2f}" if after else "",
        "hours": _hours(plan.hours(keyword)),
        "on": _hours(plan.hours(keyword, cores=cores)),
    }


def _after(plan: Plan, keyword: str) -> float:
    """Bytes of everything in one syntax; what it does not hold stays as it is."""
    if not keyword:
        return plan.after
    sizes = ((stratum.bytes_as(keyword), stratum.bytes) for stratum in plan.strata)
    return sum(now if size is None else size for size, now in sizes)


def _hours(hours: float) -> str:
    return "< 0.01" if 0 < hours < 0.005 else f"{hours:.2f}" if hours < 10 else f"{hours:,.0f}"


def _name(uid: str) -> str:
    from pydicom.uid import UID

    return UID(uid).name if uid else ""


def _told(plan: Plan, cores: int | None) -> dict[str, Any]:
    on = cores or plan.cores
    return {
        "files": sum(stratum.files for stratum in plan.strata),
        "bytes": round(sum(stratum.bytes for stratum in plan.strata)),
        "bytes_after": round(plan.after),
        "uncertainty": round(plan.uncertainty),
        "cores": plan.cores,
        "hours": plan.hours(),
        "hours_on": {str(on): plan.hours(cores=on)},
        "skipped": plan.skipped,
        "strata": [_stratum(stratum, plan, on) for stratum in plan.strata],
    }


def _stratum(stratum: Stratum, plan: Plan, cores: int) -> dict[str, Any]:
    kind = stratum.kind
    held = {keyword: size for keyword in stratum.holders if (size := stratum.bytes_as(keyword)) is not None}
    return {
        "modality": kind.modality,
        "SOPClassUID": kind.sop_class,
        "sop_class": _name(kind.sop_class),
        "pixels": kind.pixels,
        "syntax": kind.syntax,
        "files": stratum.files,
        "frames": stratum.frames,
        "bytes": round(stratum.bytes),
        "native_bytes": stratum.native_bytes,
        "sampled": len(stratum.measured),
        "bytes_after": round(stratum.after),
        "uncertainty": round(1.96 * stratum.deviation),
        "to": dict(stratum.chosen),
        "stays": dict(stratum.notes),
        "hours": stratum.seconds_of("") / 3600 / plan.cores,
        "syntaxes": {
            keyword: {
                "bytes_after": round(size),
                "hours": stratum.seconds_of(keyword) / 3600 / plan.cores,
                "hours_on": {str(cores): stratum.seconds_of(keyword) / 3600 / cores},
            }
            for keyword, size in held.items()
        },
    }
