"""Names of tags in English and Simplified Chinese, and the group in which a reader looks for them.

Not a data model and not a reader: tags, keywords and names in, words out. A tag is a plain integer,
group << 16 | element.
"""

from __future__ import annotations

from hounsfield.dicom.dictionary.groups import Group, group_of
from hounsfield.dicom.dictionary.lookup import find_tag, written
from hounsfield.dicom.dictionary.names import ITEM, Attribute, attribute, chinese_names
from hounsfield.dicom.dictionary.phrase import Phrase
from hounsfield.dicom.dictionary.vrs import vr_name
from hounsfield.language import Language

__all__ = [
    "ITEM",
    "Attribute",
    "Group",
    "Language",
    "Phrase",
    "attribute",
    "chinese_names",
    "find_tag",
    "group_of",
    "vr_name",
    "written",
]
