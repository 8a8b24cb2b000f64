"""Sentences that a person reads, in English and Simplified Chinese: their values, and one catalogue of both."""

from __future__ import annotations

from hounsfield.language.sentences import (
    Language,
    Sentence,
    choose,
    chosen,
    described,
    listed,
    say,
    translated,
)

__all__ = ["Language", "Sentence", "choose", "chosen", "described", "listed", "say", "translated"]
