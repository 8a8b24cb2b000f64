"""`hounsfield view`: a location in the browser, without importing or copying anything."""

from __future__ import annotations

import click

from hounsfield.cli.options import examples, location, series
from hounsfield.cli.terminal import echo, printable
from hounsfield.language import say


@click.command(
    epilog=examples(
        "hounsfield view scan/",
        "hounsfield view scan.zip --series 202",
        "hounsfield view https://host/dicom-web/studies/1.2.3 --no-browser",
    )
)
@location
@series
@click.option(
    "--lang",
    type=click.Choice(["en", "zh"]),
    default=None,
    help="Language of the page; by default the browser's.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen at; by default any free one."
)
@click.option("--no-browser", is_flag=True, help="Print the address only.")
def view(location: str, series: str | None, lang: str | None, port: int, no_browser: bool) -> None:
    """Look at a location in the browser.

    Files are read where they lie, on this machine only, until Ctrl+C.
    """
    from hounsfield.cli.showing import show
    from hounsfield.server.local_viewer import local_viewer

    with local_viewer(location, series=series, language=lang) as shown:
        for name, reason in shown.skipped[:5]:
            echo(
                say(
                    "left out: {printable}: {printable2}",
                    printable=printable(name),
                    printable2=printable(reason),
                ),
                err=True,
            )
        if len(shown.skipped) > 5:
            echo(say("left out: {number} more", number=len(shown.skipped) - 5), err=True)
        show(shown.app, shown.fragment, port=port, browser=not no_browser)
