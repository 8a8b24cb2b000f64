"""The command as a user meets it: statuses, one-line errors, plain pipes.

A verb's own work is tested with the verb.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import hounsfield.cli
from hounsfield.cli import VERBS, main, options, terminal
from hounsfield.errors import LocationError

VERB = "info"
STAND_IN = (
    "import sys, threading, types, importlib.machinery, click\n"
    "from hounsfield.cli import main\n"
    "module = types.ModuleType('hounsfield.cli.info')\n"
    "module.__spec__ = importlib.machinery.ModuleSpec('hounsfield.cli.info', None)\n"
    "sys.modules['hounsfield.cli.info'] = module\n"
)
"""The beginning of a program in which `info` is a command of the test's own."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `hounsfield info ARGUMENTS`, where `info` is a command of the test's own."""

    def run(body: Callable[..., None], *arguments: str) -> Result:
        command = body if isinstance(body, click.Command) else click.command(name=VERB)(body)
        module = types.ModuleType(f"hounsfield.cli.{VERB}")
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
        setattr(module, VERB, command)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return CliRunner().invoke(main, list(arguments) or [VERB])

    return run


def hounsfield_command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hounsfield", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload]


def test_help_is_what_a_bare_command_shows() -> None:
    bare, helped = hounsfield_command(), hounsfield_command("--help")
    assert bare.returncode == helped.returncode == 0
    assert bare.stdout == helped.stdout
    assert "LOCATION" in helped.stdout
    assert "hounsfield volume scan.zip out.nii.gz" in helped.stdout.replace("\n    ", "\n").splitlines()


def test_version_is_the_distribution_s() -> None:
    assert hounsfield_command("--version").stdout.split()[-1] == importlib.metadata.version("hounsfield")


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from hounsfield.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'pydicom', 'imagecodecs', 'rich', 'zarr', 'av', 'PIL', 'nibabel', 'urllib3'}\n"
        f"verbs = {{'hounsfield.cli.' + verb for verb in {list(VERBS)!r}}}\n"
        "loaded = sorted((heavy | verbs) & set(sys.modules))\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_verb_that_is_there_is_listed_and_is_a_command_with_help() -> None:
    context = click.Context(main)
    listed = main.list_commands(context)
    assert listed == [verb for verb in VERBS if verb in listed]
    here = Path(hounsfield.cli.__file__).parent
    assert set(listed) == {verb for verb in VERBS if (here / f"{verb}.py").exists() or (here / verb).is_dir()}
    for verb in listed:
        command = main.get_command(context, verb)
        assert command is not None
        assert command.name == verb
        assert command.help, f"{verb} says nothing of itself"


def test_an_unknown_verb_is_a_usage_error_in_one_line() -> None:
    done = hounsfield_command("frobnicate")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "hounsfield: error: No such command 'frobnicate'; try 'hounsfield --help'"
    ]


def test_an_unknown_option_of_a_verb_is_a_usage_error_that_names_the_verb(run: Callable[..., Result]) -> None:
    done = run(lambda: None, VERB, "--wat")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert f"try 'hounsfield {VERB} --help'" in done.stderr


def test_an_error_of_ours_is_one_line_on_stderr_and_status_1(run: Callable[..., Result]) -> None:
    def body() -> None:
        raise LocationError("is not\nthere", expected="a folder", where="/a/b", remedy="look\nelsewhere")

    done = run(body)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == "hounsfield: error: /a/b: is not there (expected a folder); look elsewhere\n"


@pytest.mark.parametrize("arguments", [("--verbose", VERB), (VERB, "--verbose"), ("-v", VERB), (VERB, "-v")])
def test_verbose_on_either_side_of_the_verb_adds_the_traceback(
    run: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    def body() -> None:
        raise LocationError("is not there")

    done = run(body, *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("\nhounsfield: error: is not there\n")


def test_verbose_reaches_the_commands_of_a_verb_that_groups_some(run: Callable[..., Result]) -> None:
    @click.group(name=VERB)
    def group() -> None:
        """A verb of verbs."""

    @group.command()
    def inner() -> None:
        raise LocationError("is not there")

    done = run(group, VERB, "inner", "--verbose")
    assert done.stderr.startswith("Traceback")


def test_any_other_exception_is_called_our_bug_in_one_line(run: Callable[..., Result]) -> None:
    def body() -> None:
        raise ZeroDivisionError("division\nby zero")

    done = run(body)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("hounsfield: error: ZeroDivisionError: division by zero; this is a bug")
    assert "--verbose" in done.stderr


def test_a_full_disk_or_a_refused_file_is_no_bug_of_ours(run: Callable[..., Result]) -> None:
    def body() -> None:
        raise PermissionError(13, "Permission denied", "/root/x")

    done = run(body)
    assert done.exit_code == 1
    assert done.stderr == (
        "hounsfield: error: /root/x: Permission denied; check the path, its permissions and the free space\n"
    )


def test_an_interrupt_is_status_130_and_a_line(run: Callable[..., Result]) -> None:
    def body() -> None:
        raise KeyboardInterrupt

    done = run(body)
    assert done.exit_code == 130
    assert done.stderr.strip() == "hounsfield: interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_is_status_130_and_no_traceback() -> None:
    program = STAND_IN + (
        "@click.command()\n"
        "def info():\n"
        "    print('at work', flush=True)\n"
        "    threading.Event().wait()\n"
        "module.info = info\n"
        "main(['info'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().split("\n") == ["", "hounsfield: interrupted", ""]
    assert process.returncode == 130


def test_a_verb_chooses_its_own_status_by_exit(run: Callable[..., Result]) -> None:
    def body() -> None:
        click.get_current_context().exit(3)

    assert run(body).exit_code == 3


def test_what_a_verb_returns_is_not_taken_for_a_status(run: Callable[..., Result]) -> None:
    assert run(lambda: 7).exit_code == 0


def test_a_reader_that_went_away_is_met_with_silence() -> None:
    program = STAND_IN + (
        "@click.command()\n"
        "def info():\n"
        "    for _ in range(100_000):\n"
        "        print('a line of a long table')\n"
        "module.info = info\n"
        "main(['info'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_library_s_warning_is_not_the_user_s_business(run: Callable[..., Result]) -> None:
    def body() -> None:
        import warnings

        warnings.warn("a value is odd", UserWarning, stacklevel=1)

    assert run(body).stderr == ""


def test_shared_options_hand_over_what_they_promise(run: Callable[..., Result]) -> None:
    taken: dict[str, object] = {}

    @click.command(name=VERB, epilog=options.examples("hounsfield info scan/", "hounsfield info scan.zip"))
    @options.location
    @options.out
    @options.series
    @options.as_json
    @options.force
    @options.lang
    def verb(**given: object) -> None:
        """A verb."""
        taken.update(given)

    done = run(verb, VERB, "scan/", "out", "--series", "1.2", "--json", "--force", "--lang", "zh")
    assert done.exit_code == 0, done.output
    assert taken == {
        "location": "scan/",
        "out": Path("out"),
        "series": "1.2",
        "as_json": True,
        "force": True,
        "lang": "zh",
    }
    shown = run(verb, VERB, "--help").stdout.splitlines()
    assert [line.strip() for line in shown[-2:]] == ["hounsfield info scan/", "hounsfield info scan.zip"]


COLUMNS = (terminal.Column("uid", "Series"), terminal.Column("slices", "Slices", align="right"))


def test_a_table_in_a_pipe_is_plain_and_keeps_long_lines_whole(run: Callable[..., Result]) -> None:
    long = "1.2." + "3" * 400
    done = run(lambda: terminal.table([{"uid": long, "slices": 140}, {"uid": None, "slices": 2}], COLUMNS))
    assert "\x1b" not in done.stdout
    heading, first, second = done.stdout.splitlines()
    assert heading.split() == ["Series", "Slices"]
    assert first.split() == [long, "140"]
    assert second.split() == ["2"]


def test_a_table_in_a_pipe_ends_its_lines_with_their_last_word(run: Callable[..., Result]) -> None:
    done = run(lambda: terminal.table([{"uid": "1.2.3.4", "slices": 140}, {"uid": "1"}], COLUMNS))
    assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []


def test_a_table_as_json_carries_whole_rows(run: Callable[..., Result]) -> None:
    rows = [{"uid": "1.2", "slices": 3, "spacing": (2.5, math.nan), "path": Path("a"), "名": "胸部"}]
    done = run(lambda: terminal.table(rows, COLUMNS, as_json=True))
    assert json.loads(done.stdout) == [
        {"uid": "1.2", "slices": 3, "spacing": [2.5, None], "path": "a", "名": "胸部"}
    ]
    assert "胸部" in done.stdout


def test_json_takes_arrays_and_numbers_of_numpy(run: Callable[..., Result]) -> None:
    np = pytest.importorskip("numpy")
    done = run(lambda: terminal.print_json({"a": np.arange(2), "b": np.float32(0.5), "c": {np.int16(-3)}}))
    assert json.loads(done.stdout) == {"a": [0, 1], "b": 0.5, "c": [-3]}


def test_control_characters_and_markup_in_dicom_text_are_shown_not_obeyed(run: Callable[..., Result]) -> None:
    rows = [{"uid": "\x1b[2Jgone [red]x[/red] :smile:", "slices": 1}]
    done = run(lambda: terminal.table(rows, COLUMNS))
    assert "\\x1b[2Jgone [red]x[/red] :smile:" in done.stdout

    def body() -> None:
        raise LocationError("\x1b]0;title\x07")

    assert "\x1b" not in run(body).stderr


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_names_that_the_console_cannot_show_do_not_stop_a_verb(encoding: str) -> None:
    program = (
        "from hounsfield.cli import main, terminal\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    terminal.print_json('王')\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith({"latin-1": b'"\\u738b"\n', "utf-8": '"王"\n'.encode()}[encoding])


PROGRESS = (
    "from hounsfield.cli.terminal import progress\n"
    "with progress('Reading') as done:\n"
    "    done.expect(3)\n"
    "    for _ in range(3): done()\n"
)


def test_progress_is_silent_in_a_pipe() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRESS], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_draws_on_a_terminal_s_stderr_only() -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRESS], stdout=subprocess.PIPE, stderr=theirs, check=True, env=environment
    )
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as screen:
        drawn = screen.read(1 << 16)
    assert done.stdout == b""
    assert b"Reading" in drawn


WIDE = (
    "from hounsfield.cli import terminal\n"
    "columns = [terminal.Column('name', 'series', folds=True), terminal.Column('date', 'date'),\n"
    "    terminal.Column('instances', 'instances'), terminal.Column('location', 'location', folds=True)]\n"
    "row = {'name': '201 STD BRAIN', 'date': '20150206', 'instances': 140,\n"
    "    'location': 'somewhere/' + 'deep/' * 20 + 'scan'}\n"
    "terminal.table([row, row | {'date': None}], columns)\n"
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("width", [40, 60, 250])
def test_a_table_on_a_terminal_cuts_nothing_however_narrow_that_is(width: int) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(width)}
    subprocess.run([sys.executable, "-c", WIDE], stdout=theirs, check=True, env=environment)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as screen:
        drawn = re.sub(r"\x1b\[[0-9;]*m", "", screen.read(1 << 16).decode())
    assert all(len(line) <= width for line in drawn.splitlines())
    assert "…" not in drawn
    assert "".join(drawn.split()).count("somewhere/" + "deep/" * 20 + "scan") == 2
    assert drawn.count("20150206") == 1
    assert len(drawn.splitlines()) == 3 or width < 250
    assert ("instances 140" in drawn) == (width < 250)


@pytest.mark.parametrize(
    ("place", "told"), [("s3://bucket/pictures", "a path on this machine"), ("-", "standard output")]
)
def test_an_output_that_is_no_path_is_wrong_usage(run: Callable[..., Result], place: str, told: str) -> None:
    @click.command(name=VERB)
    @options.out
    def verb(out: Path) -> None:
        """A verb."""

    done = run(verb, VERB, place)
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_closed_stdout_is_nowhere_to_print_to_and_no_fault() -> None:
    command = f"{shlex.quote(sys.executable)} -m hounsfield --version >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("verb", ["info", "tags", "volume", "image", "compress", "deidentify", "view"])
def test_nothing_of_dicom_at_a_location_is_an_error_of_every_verb_and_leaves_nothing(
    verb: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no dicom")
    given = {"info": [], "tags": [], "view": ["--no-browser"], "compress": ["OUT", "--to", "rle"]}.get(
        verb, ["OUT"]
    )
    done = CliRunner().invoke(
        main,
        [verb, str(tmp_path / "in"), *(str(tmp_path / "out") if each == "OUT" else each for each in given)],
    )
    assert done.exit_code == 1
    assert "hounsfield: error: " in done.stderr and "check the location" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["volume", "image", "deidentify", "compress"])
def test_a_file_where_a_folder_is_to_be_is_told_as_such(verb: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text("mine")
    more = ["--to", "rle"] if verb == "compress" else []
    done = CliRunner().invoke(main, [verb, str(tmp_path / "in"), str(tmp_path / "out"), *more])
    assert done.exit_code == 1
    assert (tmp_path / "out").read_text() == "mine"
