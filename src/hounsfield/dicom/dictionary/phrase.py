"""One thing said in both languages."""

from __future__ import annotations

from typing import NamedTuple

from hounsfield.language import Language


class Phrase(NamedTuple):
    """English and Simplified Chinese; Chinese falls back to English where there is none."""

    en: str
    zh: str = ""

    def say(self, language: Language) -> str:
        return self.zh or self.en if language == "zh" else self.en
