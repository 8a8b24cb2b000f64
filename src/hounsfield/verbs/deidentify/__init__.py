"""De-identification by PS3.15 Annex E: the basic profile and its usual options, over objects or whole locations.

It removes what the attributes tell; it looks at no pixel. A head's surface shows a face: whoever shares heads has more
to do. No profile makes data anonymous by itself; the standard says the same.
"""

from __future__ import annotations

from hounsfield.verbs.deidentify.identity import Pseudonyms
from hounsfield.verbs.deidentify.objects import Deidentified, deidentify_object
from hounsfield.verbs.deidentify.profile import Profile
from hounsfield.verbs.deidentify.review_page import write_review
from hounsfield.verbs.deidentify.running import Summary, deidentify

__all__ = [
    "Deidentified",
    "Profile",
    "Pseudonyms",
    "Summary",
    "deidentify",
    "deidentify_object",
    "write_review",
]
