"""Elements rewritten from one encoding to another (PS3.5 7.1, annex A).

Values stay as they are but for the order of their bytes; a private element that came without a VR gets UN.
"""

from __future__ import annotations

import numpy as np

from hounsfield.dicom.encoding import UNDEFINED, Encoding, encode_element
from hounsfield.dicom.full_walk import PIXEL_DATA, Element, FullWalk
from hounsfield.dicom.vr import WIDTHS, vr_of
from hounsfield.errors import MalformedError


class Recoder:
    """Rewrites elements of `walk`. `signed` decides VRs that PS3.6 gives as US or SS."""

    def __init__(self, walk: FullWalk, target: Encoding, *, signed: bool) -> None:
        self.walk = walk
        self.target = target
        self.signed = signed

    def element(self, element: Element, source: Encoding, *, depth: int = 0) -> bytes:
        """`element`, written in `source`, in the target encoding; a group length, no longer true, vanishes."""
        if element.tag & 0xFFFF == 0:
            return b""
        vr = element.vr
        if not vr and element.undefined:
            # Pixel Data of undefined length are fragments (PS3.5 A.4), an icon's in an implicit file too.
            vr = b"OB" if element.tag == PIXEL_DATA else b"SQ"
        elif not vr:
            vr = vr_of(element.tag, signed=self.signed)
        if vr == b"SQ":
            try:
                return self._sequence(element, source, depth)
            except MalformedError:  # what cannot be walked inside a sequence stays, as unknown bytes
                return encode_element(element.tag, b"UN", self.walk.value(element), self.target)
        value = self.walk.value(element)
        if element.undefined:  # UN of undefined length: implicit inside, whatever is around it
            value += self.target.sequence_end
            return encode_element(element.tag, vr, value, self.target, undefined=True)
        width = WIDTHS.get(vr, 1)
        if width > 1 and source.little != self.target.little and len(value) % width == 0:
            value = np.frombuffer(value, f"u{width}").byteswap().tobytes()
        return encode_element(element.tag, vr, value, self.target)

    def _sequence(self, element: Element, source: Encoding, depth: int) -> bytes:
        content: list[bytes] = []
        for item, encoding in self.walk.items(element, source, depth=depth):
            inner = b"".join(
                self.element(each, encoding, depth=depth + 1)
                for each in self.walk.elements(item.value, item.end, encoding, depth=depth + 1)
                if not each.cut
            )
            content += (self.target.item(UNDEFINED if item.undefined else len(inner)), inner)
            if item.undefined:
                content.append(self.target.item_end)
        if element.undefined:
            content.append(self.target.sequence_end)
        return encode_element(element.tag, b"SQ", b"".join(content), self.target, undefined=element.undefined)
