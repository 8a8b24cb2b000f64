"""Sentences that a person reads, each a template and its values, so that it can be said in Chinese as well.

The template in English is the key: `say("{count} slices are missing", count=3)` is the English text, a plain `str` to
whoever prints or logs it, and `translated` says the same by the catalogue, `chinese.tsv`. A template that is not in
the catalogue is said in English; a test finds those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, Self

from hounsfield.errors import HounsfieldError

Language = Literal["en", "zh"]

VARIABLES = ("HOUNSFIELD_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that choose the language, the first that is set before the others."""

_BETWEEN = MappingProxyType({"; ": "；", ", ": "、", " and ": "和", " or ": "或"})
_LIST = re.compile(r"\{\w+\}((; |, | and | or | · )\{\w+\})*")

_asked: list[Language] = []


class Sentence(str):
    """A sentence in English, with the template and the values that it was made of."""

    template: str
    values: dict[str, str]

    def __new__(cls, text: str, template: str = "", values: Mapping[str, str] | None = None) -> Self:
        made = super().__new__(cls, text)
        made.template, made.values = template or text, dict(values or {})
        return made


def say(template: str, /, **values: object) -> Sentence:
    """Return `template` with `values` in its braces, as English text that can be translated."""
    texts = {name: _text(each) for name, each in values.items()}
    return Sentence(template.format(**texts), template, texts)


def _text(value: object) -> str:
    if isinstance(value, HounsfieldError):
        return of_error(value)
    return value if isinstance(value, str) else str(value)


def listed(parts: Sequence[str], between: str = "; ") -> Sentence:
    """Return the parts as one sentence with `between` between them, each of which can be translated."""
    names = [f"part{number}" for number in range(len(parts))]
    return say(between.join(f"{{{name}}}" for name in names), **dict(zip(names, parts, strict=True)))


def translated(text: str, language: Language | None = None) -> str:
    """Return `text` in `language`, by default the one that was chosen; as it is where the catalogue lacks it."""
    if (language or chosen()) == "en":
        return str(text)
    if not isinstance(text, Sentence):
        return chinese().get(text, text)
    known = chinese().get(text.template)
    if known is None:
        if not _LIST.fullmatch(text.template):
            return str(text)
        known = text.template
        for english, other in _BETWEEN.items():
            known = known.replace(english, other)
    return known.format(**{name: translated(each, "zh") for name, each in text.values.items()})


def of_error(error: HounsfieldError) -> Sentence:
    """Return an error in one line, as its `str` is: where, what was found, what was expected, what to do."""
    said: str = error.found
    if error.where is not None:
        said = say("{where}: {found}", where=error.where, found=said)
    if error.expected is not None:
        said = say("{found} (expected {expected})", found=said, expected=error.expected)
    if error.remedy is not None:
        said = say("{found}; {remedy}", found=said, remedy=error.remedy)
    return said if isinstance(said, Sentence) else Sentence(said)


def described(error: HounsfieldError, language: Language | None = None) -> str:
    """Return an error in one line, in `language` or the one that was chosen; nothing in it moves a terminal."""
    if (language or chosen()) == "en":
        return str(error)
    text = translated(of_error(error), "zh")
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


def choose(language: Language | None) -> None:
    """Set the language of this process; None leaves it to the environment."""
    _asked[:] = [] if language is None else [language]


def chosen() -> Language:
    """Return the language asked for by `choose`, else by the environment: Chinese where it names one, else English."""
    if _asked:
        return _asked[0]
    named = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "")
    return "zh" if named.lower().startswith("zh") else "en"


@lru_cache(maxsize=1)
def chinese() -> Mapping[str, str]:
    """Return the catalogue: English template → Chinese template."""
    text = files("hounsfield.language").joinpath("chinese.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return MappingProxyType(
        {english.replace("\\n", "\n"): other.replace("\\n", "\n") for english, other in pairs}
    )
