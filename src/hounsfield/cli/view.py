"""`hounsfield view`: a location in the browser, without importing or copying anything."""

from __future__ import annotations

import contextlib
import threading
import webbrowser

import click

from hounsfield.cli.options import examples, location, series
from hounsfield.cli.terminal import echo, printable


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
    from hounsfield.server.running import Address, run
    from hounsfield.server.viewing import looking
    from hounsfield.viewer import HOW_TO_BUILD, page

    address = Address(port=port)
    with looking(location, series=series, language=lang) as shown:
        for name, reason in shown.skipped[:5]:
            echo(f"left out: {printable(name)}: {printable(reason)}", err=True)
        if len(shown.skipped) > 5:
            echo(f"left out: {len(shown.skipped) - 5} more", err=True)
        if page() is None:
            echo(f"the viewer's page is not built: {HOW_TO_BUILD}", err=True)
        with contextlib.closing(address.listen()) as listening:
            url = f"{address.url(listening)}/{shown.fragment}"

            def ready() -> None:
                echo(f"{url}\nCtrl+C stops it")
                if not no_browser and page() is not None:
                    # A browser may take its time to come back; requests do not wait for it.
                    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

            run(shown.app, address, listening, ready)
