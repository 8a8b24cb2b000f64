"""The attributes of instances, shown and changed: rows, text, CSV, HTML; copies that differ in a few elements only.

Not a data model (pydicom's data sets go in) and not a list of names (`tags` is).
"""

from __future__ import annotations

from hounsfield.attributes.editing import write_edited
from hounsfield.attributes.edits import Edit, parse_edits, relabelling
from hounsfield.attributes.header_rows import header_rows
from hounsfield.attributes.html import write_html
from hounsfield.attributes.listing import Listing, write_csv
from hounsfield.attributes.rows import Row, attribute_rows, select_rows
from hounsfield.attributes.text import print_table, write_lines

__all__ = [
    "Edit",
    "Listing",
    "Row",
    "attribute_rows",
    "header_rows",
    "parse_edits",
    "print_table",
    "relabelling",
    "select_rows",
    "write_csv",
    "write_edited",
    "write_html",
    "write_lines",
]
