"""Explanations of values in words, where the value alone does not speak: codes, dates, ages, UIDs, units, directions.

Pure functions of the value's text; an explanation that cannot be made is empty, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date

from hounsfield.attributes.meanings import CHINESE_UIDS, MEANINGS, UNITS
from hounsfield.dicom.dictionary import Phrase, attribute

NOTHING = Phrase("")

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_AGE = re.compile(r"(\d{3})([DWMY])")
_DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?\s*", re.ASCII)
_ZONE = re.compile(r"([+-]\d{2})(\d{2})\s*")
_AGE_UNITS = {
    "D": (Phrase("day", "天"), "days"),
    "W": (Phrase("week", "周"), "weeks"),
    "M": (Phrase("month", "个月"), "months"),
    "Y": (Phrase("year", "岁"), "years"),
}
# Axes of the patient (PS3.3 C.7.6.2.1.1): +x to the left, +y to the back, +z to the head.
_TOWARDS = (
    (Phrase("left", "左"), Phrase("right", "右")),
    (Phrase("back", "后"), Phrase("front", "前")),
    (Phrase("head", "头"), Phrase("feet", "足")),
)
_PLANES = (Phrase("sagittal", "矢状位"), Phrase("coronal", "冠状位"), Phrase("axial", "轴位"))
_OBLIQUE = 0.999  # cosine below which a direction is called oblique: 2.6°

Context = Callable[[str], str]
"""Keyword to the text of its value in the same data set, "" where absent."""


def explain(keyword: str, vr: str, value: str, context: Context = lambda keyword: "") -> Phrase:
    """Return what `value`, the text of an attribute as `value_text` gives it, means; empty where it
    speaks for itself.
    """
    if not value:
        return NOTHING
    try:
        special = SPECIAL.get(keyword)
        if special is not None:
            return special(value, context)
        if keyword in MEANINGS:
            return _codes(value, MEANINGS[keyword])
        if keyword in UNITS:
            return Phrase(UNITS[keyword], UNITS[keyword])
        by_vr = _BY_VR.get(vr)
        return by_vr(value) if by_vr is not None else NOTHING
    except (ValueError, IndexError, ArithmeticError):
        return NOTHING


def _codes(value: str, meanings: Mapping[str, Phrase]) -> Phrase:
    said = [meanings[code] for part in value.split("\\") if (code := part.strip()) in meanings]
    return Phrase("; ".join(each.en for each in said), "；".join(each.zh for each in said))


def _uid(value: str) -> Phrase:
    from pydicom import config
    from pydicom.uid import UID

    first = value.split("\\", maxsplit=1)[0]
    name = str(UID(first, validation_mode=config.IGNORE).name)
    return Phrase(name, CHINESE_UIDS.get(first, "")) if name != first else NOTHING


def _date(value: str) -> Phrase:
    match = _DATE.fullmatch(value)
    if match is None:
        return NOTHING
    day = date(*map(int, match.groups()))
    return Phrase(f"{day.day} {_MONTHS[day.month - 1]} {day.year}", f"{day.year}年{day.month}月{day.day}日")


def _time(value: str) -> Phrase:
    match = _TIME.fullmatch(value)
    if match is None:
        return NOTHING
    hours, minutes, seconds, fraction = match.groups()
    text = ":".join(part for part in (hours, minutes or "00", seconds) if part) + (fraction or "").rstrip(
        "0."
    )
    return Phrase(text, text)


def _date_time(value: str) -> Phrase:
    day, rest = _date(value[:8]), value[8:]
    zone = _ZONE.search(rest)
    clock = _time(rest[: zone.start()] if zone else rest)
    tail = f" UTC{zone[1]}:{zone[2]}" if zone else ""
    return Phrase(f"{day.en} {clock.en}{tail}".strip(), f"{day.zh} {clock.zh}{tail}".strip())


def _age(value: str) -> Phrase:
    match = _AGE.fullmatch(value.strip())
    if match is None:
        return NOTHING
    number = int(match[1])
    one, many = _AGE_UNITS[match[2]]
    return Phrase(f"{number} {one.en if number == 1 else many}", f"{number}{one.zh}")


def _tags(value: str) -> Phrase:
    known = [attribute(int(part[1:5] + part[6:10], 16)) for part in value.split("\\")]
    return Phrase("; ".join(each.name.en for each in known), "；".join(each.name.say("zh") for each in known))


def _numbers(value: str) -> list[float]:
    return [float(part) for part in value.split("\\")]


def _short(number: float) -> str:
    return f"{number:.6g}".replace("-", "−")


def _rescale(value: str, context: Context) -> Phrase:
    """The sentence that turns stored values into the unit (PS3.3 C.11.1.1.2)."""
    slope = _numbers(context("RescaleSlope") or "1")[0]
    intercept = _numbers(context("RescaleIntercept") or "0")[0]
    kind = context("RescaleType") or "HU"
    unit = kind if kind != "US" else "value"
    if slope == 1 and intercept == 0:
        return Phrase(f"{unit} = stored value: nothing to rescale", f"{unit} = 存储值，无需重缩放")
    sign, size = ("−" if intercept < 0 else "+"), _short(abs(intercept))
    return Phrase(
        f"{unit} = stored × {_short(slope)} {sign} {size}", f"{unit} = 存储值 × {_short(slope)} {sign} {size}"
    )


def _window(value: str, context: Context) -> Phrase:
    """The values between black and white, of each window (PS3.3 C.11.2.1.2.1)."""
    centers, widths = _numbers(context("WindowCenter")), _numbers(context("WindowWidth"))
    shown = [
        f"{_short(center - width / 2)} … {_short(center + width / 2)}"
        for center, width in zip(centers, widths, strict=False)
    ]
    return Phrase("shows " + ", ".join(shown), "显示 " + "、".join(shown)) if shown else NOTHING


def _spacing(value: str, context: Context) -> Phrase:
    row, column = _numbers(value)[:2]
    return Phrase(
        f"rows {_short(row)} mm apart, columns {_short(column)} mm apart",
        f"行距 {_short(row)} mm，列距 {_short(column)} mm",
    )


def _position(value: str, context: Context) -> Phrase:
    parts = [
        (number, _TOWARDS[axis][0] if number >= 0 else _TOWARDS[axis][1])
        for axis, number in enumerate(_numbers(value)[:3])
    ]
    return Phrase(
        "first pixel, mm: " + ", ".join(f"{_short(abs(n))} {way.en}" for n, way in parts),
        "首像素，mm：" + "，".join(f"{way.zh} {_short(abs(n))}" for n, way in parts),
    )


def _orientation(value: str, context: Context) -> Phrase:
    """Plane, and where the columns' index and the rows' index increase (PS3.3 C.7.6.2.1.1)."""
    cosines = _numbers(value)
    row, column = cosines[:3], cosines[3:6]
    normal = [
        row[(i + 1) % 3] * column[(i + 2) % 3] - row[(i + 2) % 3] * column[(i + 1) % 3] for i in range(3)
    ]
    axis = max(range(3), key=lambda i: abs(normal[i]))
    plane = _PLANES[axis]
    if abs(normal[axis]) < _OBLIQUE:
        plane = Phrase(f"oblique, nearly {plane.en}", f"斜位，近{plane.zh}")
    across, down = _direction(row), _direction(column)
    return Phrase(
        f"{plane.en}; left to right of the picture: to the patient's {across.en}; top to bottom: {down.en}",
        f"{plane.zh}；图像从左到右指向患者{across.zh}，从上到下指向{down.zh}",
    )


def _direction(cosines: list[float]) -> Phrase:
    axis = max(range(3), key=lambda i: abs(cosines[i]))
    return _TOWARDS[axis][0 if cosines[axis] > 0 else 1]


def _bits(value: str, context: Context) -> Phrase:
    bits = int(value)
    if not 1 <= bits <= 64:
        return NOTHING
    signed = context("PixelRepresentation") == "1"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    text = f"{_short_integer(low)} … {_short_integer(high)}"
    return Phrase(f"stored values {text}", f"存储值 {text}")


def _short_integer(number: int) -> str:
    return str(number).replace("-", "−")


def _padding(value: str, context: Context) -> Phrase:
    """The padding as stored value, read by the sign of the pixels whatever its VR says (PS3.3 C.7.5.1.1.2)."""
    number = int(_numbers(value)[0])
    if context("PixelRepresentation") == "1" and 1 << 15 <= number < 1 << 16:
        number -= 1 << 16
    slope = _numbers(context("RescaleSlope") or "1")[0]
    intercept = _numbers(context("RescaleIntercept") or "0")[0]
    text = _short(number * slope + intercept)
    return Phrase(
        f"stored value outside the scanned area; rescaled it would be {text}",
        f"扫描区域外的存储值；重缩放后为 {text}",
    )


SPECIAL: Mapping[str, Callable[[str, Context], Phrase]] = {
    "RescaleIntercept": _rescale,
    "RescaleSlope": _rescale,
    "WindowCenter": _window,
    "WindowWidth": _window,
    "PixelSpacing": _spacing,
    "ImagePositionPatient": _position,
    "ImageOrientationPatient": _orientation,
    "BitsStored": _bits,
    "PixelPaddingValue": _padding,
}

"""Attributes whose explanation may ask for those of `CONTEXT`."""

CONTEXT: Mapping[str, int] = {
    "PixelRepresentation": 0x00280103,
    "WindowCenter": 0x00281050,
    "WindowWidth": 0x00281051,
    "RescaleIntercept": 0x00281052,
    "RescaleSlope": 0x00281053,
    "RescaleType": 0x00281054,
}
"""Keyword → tag of what explanations ask of other elements."""

_BY_VR: Mapping[str, Callable[[str], Phrase]] = {
    "UI": _uid,
    "DA": _date,
    "TM": _time,
    "DT": _date_time,
    "AS": _age,
    "AT": _tags,
}
