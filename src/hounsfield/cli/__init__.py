"""The command `hounsfield`: its verbs, loaded only when used, and the edge where every error ends.

A verb is a module of this package that exports a click command named like itself (`cli/find.py` → `find`).
Nothing here knows what a verb does; nothing below here prints or exits.

Exit status: 0 done, 1 an error (one line on stderr), 2 wrong usage, 130 interrupted, 141 the reader of our
output went away. `--verbose`, before or after the verb, adds the traceback.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import click

from hounsfield.cli.options import charset, examples, language, verbose, wants_verbose
from hounsfield.cli.wording import Context, usage_error
from hounsfield.errors import HounsfieldError, without_decoders
from hounsfield.formats.table import FORMATS
from hounsfield.language import Language, choose, described, say, translated

VERBS = {
    "find": "List the studies, series or instances that match.",
    "info": "Say what each series is: geometry, scale, padding, range, size.",
    "check": "Say whether a volume is HU, and where its DICOM says.",
    "tags": "Show or change the tags.",
    "volume": f"Write Hounsfield volumes: {', '.join(each.name for each in FORMATS)}.",
    "masks": "Rewrite segmentations on a CT: SEG, RTSTRUCT, NIfTI, NRRD.",
    "measure": "Measure the HU inside segments: statistics, recipes.",
    "image": "Write windowed pictures: slice, montage, planes, MIP, film.",
    "compress": "Rewrite in another transfer syntax, verified.",
    "verify": "Check that what is stored is still what was stored.",
    "copy": "Copy instances between folders, archives and servers.",
    "deidentify": "Copies without what identifies the patient.",
    "view": "Look at it in the browser.",
    "serve": "Run the DICOMweb archive and its viewer.",
    "tokens": "Say who may use the archive.",
    "qa": "Measure a phantom: CT numbers, noise, sharpness, geometry.",
    "demo": "Make a CT phantom of known Hounsfield units; measure it.",
    "servers": "Name the servers you use.",
}
"""Every verb, in the order of the help, with its line there; one whose module is missing is not offered."""

_READ_NO_TEXTS = frozenset({"servers", "tokens", "demo"})

FAILED, WRONG_USAGE, INTERRUPTED, READER_GONE = 1, 2, 130, 141


class Verbs(click.Group):
    """The root command: loads a verb when it is asked for, turns every exception into a line and a status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for verb in VERBS if importlib.util.find_spec(f"{__name__}.{verb}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"hounsfield.cli.{cmd_name}.{cmd_name} is not a click command")
        _accept_everywhere(command)
        if cmd_name not in _READ_NO_TEXTS:
            _accept_charset(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table, so that `--help` imports no verb.
        lines = [(verb, VERBS[verb]) for verb in self.list_commands(ctx)]
        if lines:
            with formatter.section("Verbs"):
                formatter.write_dl(lines)

    def invoke(self, ctx: click.Context) -> int:
        with warnings.catch_warnings():
            # A library's warning is for programmers; what a user must know is in the reports.
            warnings.simplefilter("default" if wants_verbose(ctx) else "ignore")
            hook = sys.unraisablehook
            sys.unraisablehook = without_decoders(hook)
            try:
                super().invoke(ctx)
                sys.stdout.flush()
            except (click.ClickException, click.exceptions.Exit):
                raise
            except BaseException as error:  # noqa: BLE001 (the edge: nothing passes it unexplained)
                return _explain(error, verbose=wants_verbose(ctx))
            finally:
                sys.unraisablehook = hook
        return 0

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = "hounsfield",
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if sys.stdout is None:  # closed by whoever started us
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        if sys.stdout.errors == "strict" and hasattr(sys.stdout, "reconfigure"):
            # A patient's name that the console cannot show is no reason to stop.
            sys.stdout.reconfigure(errors="backslashreplace")
        choose(_language_in(sys.argv[1:] if args is None else args))
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            _show_usage(error)
            status = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            status = _explain(KeyboardInterrupt(), verbose=False)
        if standalone_mode:
            sys.exit(status)
        return status


def _language_in(args: Sequence[str]) -> Language | None:
    """Return the language that the words of a command ask for, wherever: `--help --lang zh` is in Chinese, too."""
    words = [part for word in args for part in (word.split("=", 1) if word.startswith("--lang=") else [word])]
    asked = dict(itertools.pairwise(words)).get("--lang")
    return "zh" if asked == "zh" else "en" if asked == "en" else None


def _accept_everywhere(command: click.Command) -> None:
    """Give a verb, and whatever it groups, `--lang` and `--verbose`, which it need not declare itself."""
    command.context_class = Context
    for name, option in (("--lang", language), ("--verbose", verbose)):
        if all(name not in declared.opts for declared in command.params):
            option(command)
    if isinstance(command, click.Group):
        for part in command.commands.values():
            _accept_everywhere(part)


def _accept_charset(command: click.Command) -> None:
    """Give a verb that reads, and whatever it groups, the option `--charset`."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            _accept_charset(part)
    elif all("--charset" not in option.opts for option in command.params):
        charset(command)


def _explain(error: BaseException, *, verbose: bool) -> int:
    """Print one line (before it, the traceback if asked for) and return the exit status."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, BrokenPipeError):
        # Python flushes stdout once more as it ends; there must be somewhere for that to go.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return READER_GONE
    if verbose:
        _print("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, (KeyboardInterrupt, click.Abort, EOFError)):
        _print(f"\nhounsfield: {translated('interrupted')}")
        return INTERRUPTED
    _print(translated(say("hounsfield: error: {line}", line=_line(error))))
    return FAILED


def _line(error: BaseException) -> str:
    from hounsfield.cli.terminal import printable

    if isinstance(error, HounsfieldError):
        return printable(described(error))
    if isinstance(error, MemoryError):
        return translated("not enough memory; choose one series, or a smaller dtype")
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        remedy = say("check the path, its permissions and the free space")
        said = say("{place}{reason}; {remedy}", place=place, reason=error.strerror, remedy=remedy)
        return printable(translated(said))
    bug = say(
        "{kind}: {said}; this is a bug of hounsfield and not your fault: "
        "please report it with the command and what it prints with --verbose",
        kind=type(error).__name__,
        said=" ".join(str(error).split()),
    )
    return printable(translated(bug))


def _show_usage(error: click.ClickException) -> None:
    from hounsfield.cli.terminal import printable

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    message = " ".join(usage_error(error).split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message = translated(
            say(
                "{message}; try '{command} --help'",
                message=message.rstrip(".。"),
                command=error.ctx.command_path,
            )
        )
    _print(translated(say("hounsfield: error: {line}", line=printable(message))))


def _print(text: str) -> None:
    try:
        click.echo(text, err=True)
    except OSError:
        # Nobody reads stderr; the status still tells.
        return


@click.group(
    "hounsfield",
    cls=Verbs,
    help=f"""Hounsfield units that can be trusted, out of CT DICOM wherever it lies.

    A LOCATION is a DICOM file, a folder, a zip or tar, a DICOMDIR, a volume
    ({", ".join(each.suffixes[0] for each in FORMATS if not each.sourced)}), a bucket (s3://…), a DICOMweb address,
    a PACS (dicom://AET@host:port), or a server by its name.
    """,
    invoke_without_command=True,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "hounsfield info scan/",
        "hounsfield volume scan.zip out.nii.gz",
        "hounsfield image scan/ lung.png --window lung",
    ),
)
@language
@verbose
@click.version_option(package_name="hounsfield", prog_name="hounsfield")
@click.pass_context
def main(ctx: click.Context) -> None:
    """The command without a verb prints its help."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


main.context_class = Context
