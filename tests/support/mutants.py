"""Mutation testing: mutants as mutmut makes them, and constants twice and half of what they are, against the tests.

`python tests/support/mutants.py [GROUP or MODULE …] [--sample N] [--survivors]`. Tests are collected once and run once
to learn which of them reach which function; each mutant is then a fork of that process, in which those tests run, the
quickest first, until one fails. Nothing is copied: the mutated modules are imported in place of their own.

Not mutated: sentences (texts with a blank, what `say` puts together), `expected=` and `remedy=` of errors, and what has
decorators.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import os
import random
import resource
import signal
import subprocess
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import accumulate
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = 2
EXAMPLES = 25  # of each property: more find little more, and a mutant that survives takes all of them
TESTS_SECONDS = 5.0  # of the processor, of tests, the quickest, that each mutant is put to
PATIENCE = 4  # times what the tests of a mutant took without it, and
PATIENCE_SECONDS = 5  # that much more, until it is taken for an endless loop
MEMORY = 3 << 30  # bytes that a mutant may have
FACTORS = (5, 2, 0.5)  # that constants are multiplied with

GROUPS: dict[str, tuple[list[str], list[str]]] = {
    "hu": (["ct/hu.py"], ["unit/ct/test_hu.py"]),
    "geometry": (["ct/geometry.py"], ["unit/ct/test_geometry.py"]),
    "frames": (["dicom/encapsulation.py"], ["unit/dicom/test_frames.py"]),
    "outputs": (["outputs/files.py", "outputs/lots.py"], ["unit/test_outputs.py"]),
    "series": (
        [f"ct/series/{name}.py" for name in ("finding", "grouping", "partition", "phases", "slices")],
        ["unit/ct/test_grouping.py", "unit/ct/test_partition.py", "traps/test_phases.py"],
    ),
    "archive": (
        [f"server/archive/{name}.py" for name in ("integrity", "store/folder", "store/versions")],
        [
            "server/test_server_stores.py::TestFolderStore",
            "server/test_server_stores.py::test_a_key_tells_its_version",
            "server/test_server_stores.py::test_what_is_no_key_of_a_version_is_told_apart",
            "server/test_server_integrity.py::test_a_digest_is_the_same_however_the_bytes_come",
            "server/test_server_integrity.py::test_a_checked_stream_reads_like_any_other",
            "server/test_server_integrity.py::test_every_read_that_touches_a_damaged_block_fails_and_no_other",
            "server/test_server_integrity.py::test_more_or_fewer_bytes_are_damage_before_any_is_read",
            "server/test_server_archive_store.py",
        ],
    ),
}
"""What is mutated, below `src/hounsfield`, and the tests that are to notice, below `tests`."""


@dataclass
class Mutated:
    """A module with all its mutants in it, each a function beside the one that it is of."""

    name: str
    path: Path
    code: str
    spans: dict[str, tuple[int, int]]
    mutants: list[str]

    def diff(self, mutant: str) -> str:
        """What a mutant changes."""
        original = mutant.rsplit("__mutmut_", 1)[0] + "__mutmut_orig"
        lines = self.code.splitlines()
        (before, after) = (
            [line for line in lines[self.spans[name][0] - 1 : self.spans[name][1]] if "__mutmut_" not in line]
            for name in (original, mutant)
        )
        changed = [
            line
            for line in difflib.unified_diff(before, after, n=0, lineterm="")
            if line[:2] not in {"--", "++", "@@"}
        ]
        return "\n".join(changed)


def mutated(path: Path) -> Mutated:
    """The mutants of a module."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    made = mutate_file_contents(str(path), path.read_text("utf-8"))
    spans = {key: (span.start, span.end) for key, span in made.line_span_by_function_name.items()}
    return Mutated(name, path, made.code, spans, list(made.mutant_names))


def leave_sentences_alone() -> None:
    """Have mutmut make no mutants of what only people read."""
    import libcst as cst
    from mutmut.mutation import mutators

    def is_said(arg: cst.Arg) -> bool:
        if arg.keyword:
            return arg.keyword.value in {"expected", "remedy"}
        return _is_sentence(arg.value)

    def of_code(operator: Callable[[Any], Iterable[Any]]) -> Callable[[Any], Iterable[Any]]:
        def mutants_of(node: Any) -> Iterator[Any]:
            if _is_sentence(node):
                return
            if not isinstance(node, cst.Call):
                yield from operator(node)
                return
            said = [arg for arg in node.args if is_said(arg)]
            for mutant in operator(node):
                if all(any(arg is one for arg in mutant.args) for one in said):
                    yield mutant

        return mutants_of

    mutators.mutation_operators[:] = [
        (kind, of_code(operator)) for kind, operator in mutators.mutation_operators
    ]


def _is_sentence(node: Any) -> bool:
    """Return whether a node is a text with a blank, or one that is put together by `say`."""
    import libcst as cst

    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Name) and node.func.value == "say"
    return isinstance(node, cst.SimpleString) and " " in node.value


class Loader(SourceFileLoader):
    """Loads the mutated code of a module from where the module is."""

    def __init__(self, module: Mutated) -> None:
        super().__init__(module.name, str(module.path))
        self._code = module.code

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._code, self.path, "exec", dont_inherit=True)


class Finder:
    """Finds mutated modules in place of their own."""

    def __init__(self, modules: Iterable[Mutated]) -> None:
        self._modules = {module.name: module for module in modules}

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        found = self._modules.get(name)
        return importlib.util.spec_from_loader(name, Loader(found)) if found else None


@dataclass
class Constant:
    """A number at the top of a module, and another in its place, everywhere it was imported to."""

    module: str
    name: str
    value: float

    def __str__(self) -> str:
        return f"{self.module}.{self.name} = {self.value!r}"

    def set(self) -> None:
        old = getattr(sys.modules[self.module], self.name)
        for module in list(sys.modules.values()):
            if module.__name__.startswith("hounsfield") and vars(module).get(self.name) is old:
                setattr(module, self.name, self.value)


def constants_of(module: Mutated) -> list[Constant]:
    """Each number at the top of a module, multiplied."""
    found = []
    for name, value in vars(sys.modules[module.name]).items():
        if name.isupper() and type(value) in {int, float} and f"\n{name} = " in module.code:
            found += [Constant(module.name, name, type(value)(value * factor)) for factor in FACTORS]
    return found


@dataclass
class Outcome:
    mutant: str
    module: str
    status: str
    diff: str


@dataclass
class Loop:
    """Runs the collected tests once, then some of them in a fork for each mutant."""

    modules: list[Mutated]
    sample: int
    constants: bool
    reached: dict[str, list[pytest.Item]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[str, float] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    _hits: set[str] = field(default_factory=set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        from hypothesis import Phase, settings

        for item in items:
            test = getattr(item, "obj", None)
            if hasattr(test, "_hypothesis_internal_use_settings"):
                known = test._hypothesis_internal_use_settings
                test._hypothesis_internal_use_settings = settings(
                    known,
                    phases=(Phase.explicit, Phase.generate),
                    derandomize=True,
                    database=None,
                    max_examples=min(known.max_examples, EXAMPLES),
                )

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._learn(session.items)
        if session.testsfailed:
            sys.exit("tests fail without any mutant")
        work: list[tuple[str, Mutated, list[pytest.Item], Callable[[], None], str]] = []
        for module in self.modules:
            for mutant in module.mutants:
                full, function = f"{module.name}.{mutant}", mutant.rsplit("__mutmut_", 1)[0]
                items = self.reached[f"{module.name}.{function}"]
                work.append((full, module, items, lambda full=full: select(full), module.diff(mutant)))  # type: ignore[misc]
            any_of_it = {
                item.nodeid: item
                for name, items in self.reached.items()
                if name.startswith(f"{module.name}.x")
                for item in items
            }
            for constant in constants_of(module):
                work.append((str(constant), module, list(any_of_it.values()), constant.set, str(constant)))
        if self.constants:
            work = [each for each in work if " = " in each[0]]
        if self.sample and len(work) > self.sample:
            work = random.Random(17).sample(work, self.sample)
        self._run(work)
        return True

    def _learn(self, items: Sequence[pytest.Item]) -> None:
        from mutmut.mutation import trampoline

        trampoline.record_trampoline_hit = lambda name, caller=None: self._hits.add(name)
        select("stats")
        for number, item in enumerate(items):
            self._hits.clear()
            began = time.process_time()
            following = items[number + 1] if number + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.seconds[item.nodeid] = time.process_time() - began
            for name in self._hits:
                self.reached[name].append(item)
        select("")

    def _run(self, work: list[tuple[str, Mutated, list[pytest.Item], Callable[[], None], str]]) -> None:
        running: dict[int, tuple[str, Mutated, str]] = {}
        for name, module, items, change, diff in work:
            if not items:
                self.outcomes.append(Outcome(name, module.name, "no test", diff))
                continue
            if len(running) == CHILDREN:
                self._wait(running)
            running[self._fork(items, change)] = name, module, diff
        while running:
            self._wait(running)

    def _wait(self, running: dict[int, tuple[str, Mutated, str]]) -> None:
        child, status = os.wait()
        if child not in running:
            return
        name, module, diff = running.pop(child)
        known = "survived" if status == 0 else "killed" if os.WIFEXITED(status) else "timeout"
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) not in {
            signal.SIGXCPU,
            signal.SIGALRM,
            signal.SIGKILL,
        }:
            known = "killed"
        self.outcomes.append(Outcome(name, module.name, known, diff))
        if known == "survived" or len(self.outcomes) % 50 == 0:
            print(f"{len(self.outcomes)} {name} {known}\n{diff}", file=sys.stderr, flush=True)

    def _fork(self, items: list[pytest.Item], change: Callable[[], None]) -> int:
        quickest = sorted(items, key=lambda item: self.seconds[item.nodeid])
        ends = list(accumulate(self.seconds[item.nodeid] for item in quickest))
        quickest = quickest[: 1 + bisect_left(ends, TESTS_SECONDS)]
        seconds = PATIENCE * min(ends[-1], 2 * TESTS_SECONDS) + PATIENCE_SECONDS
        child = os.fork()
        if child:
            return child
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(seconds) * 20)  # of a loaded machine
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            change()
            os._exit(int(any(_fails(item) for item in quickest)))
        finally:
            os._exit(1)


def _fails(item: pytest.Item) -> bool:
    from _pytest.runner import runtestprotocol

    return any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))


def select(mutant: str) -> None:
    """Have the trampolines call that mutant; "" for none, "stats" to note what is called."""
    from mutmut.mutation.trampoline import set_mutant_under_test

    set_mutant_under_test(mutant)


def run_group(name: str, *, only: str, sample: int, constants: bool, survivors: bool) -> None:
    """Run the mutants of one group in this process, and print how many of each module are noticed."""
    leave_sentences_alone()
    sources, tests = GROUPS[name]
    paths = [path for source in sources for path in sorted((ROOT / "src" / "hounsfield").glob(source))]
    tests = [test for test in tests if (ROOT / "tests" / test.partition("::")[0]).is_file()]
    modules = [mutated(path) for path in paths if only in str(path)]
    sys.meta_path.insert(0, Finder(modules))
    loop = Loop(modules, sample, constants)
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:terminalreporter", "-s"]
    pytest.main([*options, *(str(ROOT / "tests" / test) for test in tests)], plugins=[loop])
    for module in modules:
        found = [outcome for outcome in loop.outcomes if outcome.module == module.name]
        noticed = sum(outcome.status in {"killed", "timeout"} for outcome in found)
        share = 100 * noticed / len(found) if found else 100
        endless = sum(outcome.status == "timeout" for outcome in found)
        print(
            f"{module.name}: {noticed} of {len(found)} ({share:.1f} %), {endless} without an end", flush=True
        )
    if survivors:
        for outcome in loop.outcomes:
            if outcome.status not in {"killed", "timeout"}:
                print(f"\n{outcome.mutant}: {outcome.status}\n{outcome.diff}", flush=True)


def main() -> None:
    """Run the groups that are asked for, all without any, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"{', '.join(GROUPS)}, or GROUP:part of a path")
    parser.add_argument("--sample", type=int, default=0, help="at most so many mutants of each group")
    parser.add_argument("--constants", action="store_true", help="constants alone")
    parser.add_argument("--survivors", action="store_true", help="print what is not noticed")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        name, _, only = asked.groups[0].partition(":")
        run_group(name, only=only, sample=asked.sample, constants=asked.constants, survivors=asked.survivors)
        return
    for group in asked.groups or GROUPS:
        began = time.monotonic()
        options = [
            group,
            "--here",
            "--sample",
            str(asked.sample),
            *(f"--{flag}" for flag in ("constants", "survivors") if getattr(asked, flag)),
        ]
        subprocess.run([sys.executable, __file__, *options], check=True, cwd=ROOT)
        print(f"== {group}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
