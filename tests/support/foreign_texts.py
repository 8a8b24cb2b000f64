"""CT slices whose texts are bytes as given, whatever they declare: no library between a test and the file."""

from __future__ import annotations

import struct
from pathlib import Path

NAME, HOSPITAL, DESCRIPTION = "ZHANG SANFENG=张三丰", "北京协和医院", "胸部平扫"
_UIDS = {0x00020002, 0x00020003, 0x00020010, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00200052}
_LONG = (b"OW", b"SQ", b"UT", b"UC", b"UN")


def element(tag: int, vr: bytes, value: bytes | str, *, length: int | None = None) -> bytes:
    """One element in Explicit VR Little Endian; `length`: the one that is written, if it is a lie."""
    content = value.encode() if isinstance(value, str) else value
    content += (b"\0" if tag in _UIDS else b" ") * (len(content) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    written = len(content) if length is None else length
    size = struct.pack("<HI", 0, written) if vr in _LONG else struct.pack("<H", written)
    return head + size + content


def slice_of(
    texts: dict[int, tuple[bytes, bytes | str]],
    *,
    charset: str | None,
    number: int = 1,
    series: str = "1.2.3.4",
    lying: dict[int, int] | None = None,
) -> bytes:
    """A CT slice of 16 × 16 with `texts`, tag → (VR, bytes); `lying`: tag → the length that is written."""
    uid = f"{series}.{number}"
    elements: dict[int, tuple[bytes, bytes | str]] = {
        0x00080008: (b"CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x00080016: (b"UI", "1.2.840.10008.5.1.4.1.1.2"),
        0x00080018: (b"UI", uid),
        0x00080020: (b"DA", "20240102"),
        0x00080060: (b"CS", "CT"),
        0x00100020: (b"LO", "P1"),
        0x0020000D: (b"UI", f"{series}.0"),
        0x0020000E: (b"UI", series),
        0x00200011: (b"IS", "1"),
        0x00200013: (b"IS", str(number)),
        0x00200032: (b"DS", f"0\\0\\{number}"),
        0x00200037: (b"DS", "1\\0\\0\\0\\1\\0"),
        0x00200052: (b"UI", f"{series}.7"),
        **{
            tag: (b"US", struct.pack("<H", value))
            for tag, value in (
                (0x00280002, 1), (0x00280010, 16), (0x00280011, 16), (0x00280100, 16),
                (0x00280101, 16), (0x00280102, 15), (0x00280103, 1),
            )
        },
        0x00280004: (b"CS", "MONOCHROME2"),
        0x00280030: (b"DS", "1\\1"),
        0x00281052: (b"DS", "0"),
        0x00281053: (b"DS", "1"),
        0x00281054: (b"LO", "HU"),
        0x7FE00010: (b"OW", struct.pack("<256h", *(40 * (cell % 7) - 1000 * (cell % 2) for cell in range(256)))),
        **texts,
    }  # fmt: skip
    if charset is not None:
        elements[0x00080005] = (b"CS", charset)
    data = b"".join(element(tag, *elements[tag], length=(lying or {}).get(tag)) for tag in sorted(elements))
    meta = (
        element(0x00020002, b"UI", "1.2.840.10008.5.1.4.1.1.2")
        + element(0x00020003, b"UI", uid)
        + element(0x00020010, b"UI", "1.2.840.10008.1.2.1")
    )
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + data


def chinese(name: str = NAME, encoding: str = "gb18030") -> dict[int, tuple[bytes, bytes | str]]:
    """The texts of a Chinese hospital's CT, in an encoding of Python."""
    return {
        0x00080080: (b"LO", HOSPITAL.encode(encoding)),
        0x0008103E: (b"LO", DESCRIPTION.encode(encoding)),
        0x00100010: (b"PN", name.encode(encoding)),
    }


def write_series(folder: Path, texts: dict[int, tuple[bytes, bytes | str]], charset: str | None) -> Path:
    """Three slices in a new folder, of a series UID of its own."""
    folder.mkdir(parents=True)
    series = f"1.2.3.{int.from_bytes(folder.name.encode(), 'big') % 10**18}"
    for number in (1, 2, 3):
        content = slice_of(texts, charset=charset, number=number, series=series)
        (folder / f"{number}.dcm").write_bytes(content)
    return folder
