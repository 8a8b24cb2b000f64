"""Outputs that appear whole or not at all: files and folders, many files synced as one lot, room for scratch data."""

from __future__ import annotations

from hounsfield.outputs.files import (
    carry_status,
    partial_instance,
    refuse_existing,
    refuse_inside,
    remove_partials,
    storing_below,
    temporary_beside,
    whole_file,
    whole_folder,
    writing_below,
)
from hounsfield.outputs.lots import sync
from hounsfield.outputs.whole_files import WholeFiles

__all__ = [
    "WholeFiles",
    "carry_status",
    "partial_instance",
    "refuse_existing",
    "refuse_inside",
    "remove_partials",
    "storing_below",
    "sync",
    "temporary_beside",
    "whole_file",
    "whole_folder",
    "writing_below",
]
