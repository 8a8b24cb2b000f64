"""The words of a run in English and Chinese: headings, what the options risk, why objects were left out.

Reasons are written in English where they are found, and kept so in the ledger; `in_language` gives their Chinese by
the table here, which a test holds against the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from hounsfield.verbs.deidentify.profile import Profile

WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "title": ("Texts that were kept", "保留下来的文本"),
        "intro": (
            "Every distinct text that is left in the files, with how often. What identifies the patient, the people "
            "and the place of an object was looked for in each and taken out; a name that no attribute of the object "
            "tells cannot be found. Read this list before you share the data.",
            "输出文件中保留的每一条不同文本及其出现次数。每条文本都已按该对象自身的患者、人员与机构信息查找并删除匹配内容；"
            "若某个姓名未出现在该对象的任何属性中，则无法被发现。共享数据之前，请先通读此列表。",
        ),
        "attribute": ("attribute", "属性"),
        "text": ("text", "文本"),
        "count": ("count", "数量"),
        "part": ("something was taken out", "已删除部分内容"),
        "taken_out": ("Taken out", "已删除"),
        "taken_out_note": (
            "Attributes in whose text something was found, and how often; what it was is not told.",
            "在其文本中找到标识信息的属性及次数；不记录被删除的内容。",
        ),
        "left_out": ("Left out", "未纳入"),
        "risks": ("What the options that were chosen risk", "所选选项的风险"),
        "none": ("none", "无"),
        "not_done": ("What this does not do", "未处理的内容"),
        "faces": (
            "No pixel was looked at: the surface of a head shows a face, and text that is drawn in an image that does "
            "not say so is still there.",
            "未检查任何像素：头部体表重建可显示面部；若图像中绘有文字而文件未声明，这些文字仍然存在。",
        ),
        "objects": ("objects", "对象"),
        "made": ("made", "已生成"),
        "present": ("present", "已存在"),
        "left out": ("left out", "未纳入"),
        "failed": ("failed", "失败"),
        "attributes": ("attributes", "属性"),
        "removed": ("removed", "已删除"),
        "removed private": ("removed private", "已删除（私有）"),
        "kept private": ("kept private", "已保留（私有）"),
        "emptied": ("emptied", "已清空"),
        "dummy": ("dummy", "已替换为占位值"),
        "cleaned": ("cleaned", "已删除部分内容"),
        "UIDs replaced": ("UIDs replaced", "已替换的 UID"),
        "dates shifted": ("dates shifted", "已平移的日期"),
        "pixels trimmed": ("pixels trimmed", "已去除像素数据中的多余字节"),
        "what": ("what", "内容"),
        "review": ("texts that were kept, to read before sharing", "共享前请通读保留的文本"),
        "told": (
            "the name of the output folder holds a name or number of a patient; rename it before you share it",
            "输出文件夹的名称含有患者姓名或编号；共享前请重命名",
        ),
        "to look through": ("to look through", "可浏览"),
    }
)
"""(English, Chinese) by key."""

RISKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "descriptions": (
            "free text may name people, places and diseases that no attribute of the object tells",
            "自由文本可能提到对象属性中没有的人名、地名和疾病",
        ),
        "device": (
            "serial numbers and station names lead to the place, and with a date to the patient",
            "序列号和工作站名称可追溯到机构，结合日期可追溯到患者",
        ),
        "institution": ("tells where the patient was", "说明患者就诊的机构"),
        "patient": (
            "a rare age, size or weight identifies by itself",
            "罕见的年龄、身高或体重本身即可识别个人",
        ),
        "uids": (
            "whoever has the originals finds the patient; UIDs may hold dates and numbers",
            "持有原始数据者可由 UID 找到患者；UID 中可能含有日期和编号",
        ),
        "safe_private": (
            "private attributes are safe by the standard's list, not by what is in them",
            "私有属性仅依据标准的安全列表保留，并未逐一核实其内容",
        ),
        "keep": ("dates lead to the patient where visits are known", "若就诊时间已知，日期可追溯到患者"),
        "shift": (
            "what lies between dates stays, and with a known event gives the dates back",
            "日期间隔保持不变，若已知其中一个事件的日期，即可推算其余日期",
        ),
        "include": (
            "objects were let in whose pixels may hold text",
            "已纳入像素中可能含有文字的对象",
        ),
    }
)
"""The risk of each option, (English, Chinese)."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "a directory of a file-set: it names the patients": "介质目录（DICOMDIR）：其中列有患者姓名",
        "no SOP or Study Instance UID: not a composite object": "缺少 SOP 或检查实例 UID：不是复合对象",
        "an encapsulated document: what is in it is not looked at": "封装文档：其内容不作检查",
        "no SOP Class UID: what it is is not known": "缺少 SOP 类 UID：无法得知对象类型",
        "a structured report ({name}): its text may name anybody": "结构化报告（{name}）：其文本可能提到任何人",
        "a photograph or film ({name}): it may show a face or a label": "照片或影片（{name}）：可能显示面部或标签",
        "a Secondary Capture ({name}): text may be in its pixels": "二次捕获（{name}）：像素中可能含有文字",
        "a private SOP class: what it is is not known": "私有 SOP 类：无法得知对象类型",
        "{name}: not among the SOP classes that may pass": "{name}：不在允许的 SOP 类之列",
        "Modality{value}: not among those that may pass": "成像模态{value}：不在允许之列",
        "Burned In Annotation (0028,0301) is YES": "烧入注释 (0028,0301) 为 YES",
        "Burned In Annotation (0028,0301) is missing on a class that should have it; look at it and set it": (
            "该类对象应有烧入注释 (0028,0301)，但缺失；请查看图像后设置"
        ),
        "Burned In Annotation (0028,0301) is neither YES nor NO; look at it and set it": (
            "烧入注释 (0028,0301) 既非 YES 也非 NO；请查看图像后设置"
        ),
        "Image Type says{value}: text may be in its pixels": "图像类型为{value}：像素中可能含有文字",
        "Image Type{value}: not among those that may pass": "图像类型{value}：不在允许之列",
        "Conversion Type{value}: made from a screen, a film or a drawing": "转换类型{value}：由屏幕、胶片或绘图得到",
        '{name} says "{value}": text may be in its pixels': "{name} 含“{value}”：像素中可能含有文字",
        "a colour image among CT (a dose page, a screenshot): text may be in its pixels": (
            "CT 中的彩色图像（剂量报告页、屏幕截图）：像素中可能含有文字"
        ),
        "its pixels are in private attributes, which are removed; convert it first": (
            "像素存放在将被删除的私有属性中；请先转换"
        ),
        "an overlay in the bits of compressed pixels; decompress it first": "压缩像素的空闲位中有叠加层；请先解压缩",
        "{name}: what else its stream holds is not looked at": "{name}：其码流中的其他内容不作检查",
    }
)
"""Why an object is left out (`screening`), and its Chinese."""

_LETS_IN = re.compile(r"(?P<reason>.*) \(--include (?P<name>.+) lets it in\)", re.DOTALL)


def said(key: str, lang: str) -> str:
    """The words of `key` in "en" or "zh"."""
    return WORDS[key][lang == "zh"]


def in_language(reason: str, lang: str) -> str:
    """A reason in "en" or "zh"; as it is, where there is no Chinese for it."""
    if lang != "zh":
        return reason
    included = _LETS_IN.fullmatch(reason)
    if included:
        return f"{in_language(included['reason'], lang)}（如需纳入：--include {included['name']}）"
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(reason)
        if found:
            return chinese.format(**found.groupdict())
    return reason


@lru_cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The table as expressions; those with less in them that is open first."""
    rows = []
    for english, chinese in sorted(REASONS.items(), key=lambda row: row[0].startswith("{")):
        parts = re.split(r"\{(\w+)\}", english)
        pattern = "".join(
            f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
        )
        rows.append((re.compile(pattern, re.DOTALL), chinese))
    return tuple(rows)


def risks_of(profile: Profile, lang: str) -> list[tuple[str, str]]:
    """(option, what it risks) of those that the profile chose."""
    chosen = [name for name in RISKS if name == profile.dates or getattr(profile, name, False)]
    return [(_option(name), RISKS[name][lang == "zh"]) for name in chosen]


def _option(name: str) -> str:
    """As it is typed."""
    if name == "include":
        return "--include"
    return f"--{'dates' if name in ('keep', 'shift') else 'keep'} {name.replace('_', '-')}"
