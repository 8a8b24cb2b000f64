"""The value representations (PS3.5 6.2) by name, in both languages."""

from __future__ import annotations

from hounsfield.dicom.dictionary.phrase import Phrase

_NAMES = {
    "AE": Phrase("Application Entity", "应用实体"),
    "AS": Phrase("Age String", "年龄字符串"),
    "AT": Phrase("Attribute Tag", "属性标签"),
    "CS": Phrase("Code String", "代码字符串"),
    "DA": Phrase("Date", "日期"),
    "DS": Phrase("Decimal String", "十进制数字符串"),
    "DT": Phrase("Date Time", "日期时间"),
    "FD": Phrase("Floating Point Double", "双精度浮点数"),
    "FL": Phrase("Floating Point Single", "单精度浮点数"),
    "IS": Phrase("Integer String", "整数字符串"),
    "LO": Phrase("Long String", "长字符串"),
    "LT": Phrase("Long Text", "长文本"),
    "OB": Phrase("Other Byte", "其他字节"),
    "OD": Phrase("Other Double", "其他双精度浮点数"),
    "OF": Phrase("Other Float", "其他单精度浮点数"),
    "OL": Phrase("Other Long", "其他32位整数"),
    "OV": Phrase("Other 64-bit Very Long", "其他64位整数"),
    "OW": Phrase("Other Word", "其他16位字"),
    "PN": Phrase("Person Name", "人名"),
    "SH": Phrase("Short String", "短字符串"),
    "SL": Phrase("Signed Long", "有符号32位整数"),
    "SQ": Phrase("Sequence of Items", "条目序列"),
    "SS": Phrase("Signed Short", "有符号16位整数"),
    "ST": Phrase("Short Text", "短文本"),
    "SV": Phrase("Signed 64-bit Very Long", "有符号64位整数"),
    "TM": Phrase("Time", "时间"),
    "UC": Phrase("Unlimited Characters", "不限长字符"),
    "UI": Phrase("Unique Identifier", "唯一标识符"),
    "UL": Phrase("Unsigned Long", "无符号32位整数"),
    "UN": Phrase("Unknown", "未知"),
    "UR": Phrase("Universal Resource Identifier", "统一资源标识符"),
    "US": Phrase("Unsigned Short", "无符号16位整数"),
    "UT": Phrase("Unlimited Text", "不限长文本"),
    "UV": Phrase("Unsigned 64-bit Very Long", "无符号64位整数"),
}


def vr_name(vr: str) -> Phrase:
    """The name of a VR; alternatives ("US or SS", as the dictionary writes them) are named one by one."""
    parts = [_NAMES.get(part, Phrase(part)) for part in vr.split(" or ")]
    return Phrase(" or ".join(part.en for part in parts), "或".join(part.say("zh") for part in parts))
