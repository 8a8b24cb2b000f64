"""Sphinx's settings for the documentation; built by `make docs`, where a warning is an error."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "hounsfield"
author = "the hounsfield founders"
version = release = installed("hounsfield")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "hounsfield"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False
