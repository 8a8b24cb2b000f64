"""The cost of each transfer syntax, measured on some images of a location, as a table, a plot or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.locations import Location
    from hounsfield.transcode.estimating import Cost


def show_estimate(place: Location, plot: Path | None, *, force: bool, as_json: bool) -> None:
    """Measure what each syntax would cost for the images of `place`, print it, and draw it to `plot`."""
    from hounsfield.ct.instance import Skipped
    from hounsfield.transcode import estimate, write_plot
    from hounsfield.transcode.estimating import steps

    if plot is not None:
        from hounsfield.outputs import refuse_existing
        from hounsfield.transcode.plot import plot_format

        plot_format(plot)
        refuse_existing(plot, force=force)
    with progress("Measuring", total=steps()) as done:
        sources = [source for source in place.sources() if not isinstance(source, Skipped)]
        measured = estimate(sources, on_step=done)
    if plot is not None:
        write_plot(measured, plot, force=force)
    if as_json:
        print_json(
            {
                "images": measured.images,
                "native_bytes": measured.native_bytes,
                "stored_bytes": measured.stored_bytes,
                "sampled": measured.sampled,
                "unit": measured.unit,
                "costs": [cost.to_json() for cost in measured.costs],
                "impossible": measured.impossible,
            }
        )
        return
    echo(
        say(
            "{images} image{number}: {number2} MB of pixels, {number3} MB now; measured on "
            "{sampled} of them, on one core",
            images=measured.images,
            number="s" * (measured.images != 1),
            number2=format(measured.native_bytes / 1e6, ".1f"),
            number3=format(measured.stored_bytes / 1e6, ".1f"),
            sampled=measured.sampled,
        )
    )
    error = f"Error, {measured.unit}".rstrip(", ")
    table([_row(cost) for cost in measured.costs], [
        Column("syntax", "Syntax"), Column("setting", "Setting"), Column("mb", "MB", "right"),
        Column("ratio", "Ratio", "right"), Column("encode_mb_s", "Encode MB/s", "right"),
        Column("decode_mb_s", "Decode MB/s", "right"), Column("max_error", error, "right"),
    ])  # fmt: skip
    for keyword, held in {cost.syntax.keyword: cost.held for cost in measured.costs}.items():
        if held < measured.sampled:
            echo(
                say(
                    "{keyword} holds {held} of the {sampled} samples; the others count as they are now",
                    keyword=keyword,
                    held=held,
                    sampled=measured.sampled,
                )
            )
    for keyword, reason in measured.impossible.items():
        echo(say("not {keyword}: {reason}", keyword=keyword, reason=reason))
    if plot is not None:
        echo(say("size against error: {plot}", plot=plot))


def _row(cost: Cost) -> dict[str, str]:
    """One line of the table, each column with as many decimals all the way down."""
    return {
        "syntax": cost.syntax.keyword,
        "setting": cost.setting,
        "mb": f"{cost.stored_bytes / 1e6:.1f}",
        "ratio": f"{cost.ratio:.2f}",
        "encode_mb_s": f"{cost.encode_speed:.0f}",
        "decode_mb_s": f"{cost.decode_speed:.0f}",
        "max_error": f"{cost.max_error:g}",
    }
