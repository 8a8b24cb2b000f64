"""Evidence that was measured, and the sentences that say it, in English and in Chinese.

One row a key: the viewer, `info` and the pages all speak from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Physics(StrEnum):
    """The verdict of the numbers themselves."""

    PLAUSIBLE = "plausible"
    UNKNOWN = "unknown"
    IMPLAUSIBLE = "implausible"


SENTENCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # anchors
        "air": ("air reads {number} HU (−1000 by definition)", "空气为 {number} HU（定义值 −1000）"),
        "tissue": ("soft tissue or water peaks at {number} HU", "软组织或水的峰值为 {number} HU"),
        "no-air": ("no patch of air in the field", "视野内没有成片的空气"),
        "no-tissue": ("no patch of soft tissue or water in the field", "视野内没有成片的软组织或水"),
        "nothing-measured": ("nothing but padding to measure", "除填充值外没有可测量的内容"),
        # what is impossible
        "below-vacuum": (
            "{number} % of the field lies below −1060 HU: nothing is emptier than air",
            "{number} % 的区域低于 −1060 HU：没有比空气更稀薄的物质",
        ),
        "uniform-high": (
            "{number} % of the field is uniform above +780 HU: no tissue is",
            "{number} % 的区域均匀且高于 +780 HU：人体组织不会如此",
        ),
        "grey-levels": (
            "only {number} different values within 0 … 255: a windowed picture",
            "0 … 255 之内只有 {number} 个不同数值：这是加窗后的图片",
        ),
        "fractions": (
            "all values lie within {number}: fractions, not HU",
            "所有数值都在 {number} 的范围内：是小数比例而非 HU",
        ),
        "between-air-and-tissue": (
            "a uniform region reads {number} HU, between air and tissue, where no material of a body lies",
            "有均匀区域为 {number} HU，介于空气与组织之间，人体内没有这样的物质",
        ),
        "no-water": (
            "only {number} % of the matter lies between −200 and 400 HU, where water and tissue are",
            "只有 {number} % 的物质位于 −200 … 400 HU，而水和组织应在此范围",
        ),
        "too-quiet": (
            "noise of {number} HU in tissue: quieter than photons allow",
            "组织噪声仅 {number} HU：低于光子统计的下限",
        ),
        "air-at-zero": (
            "the emptiest uniform region reads {number} HU, as if air were 0",
            "最稀薄的均匀区域为 {number} HU，好像空气的值为 0",
        ),
        "floor-beside-air": (
            "{number} % of the field sits at one floor value beside noisy “air”, and no water is there",
            "{number} % 的区域为同一最低值，旁边是带噪声的“空气”，且没有水",
        ),
        "beyond-bone": ("{number} % of the field is above 4200 HU", "{number} % 的区域高于 4200 HU"),
        # what is odd and may be
        "coarse-steps": (
            "values come in steps of {number} HU: a slope was rounded away, or compression was lossy",
            "数值以 {number} HU 为步长：斜率被取整，或经过有损压缩",
        ),
        "interleaved": (
            "noise or tissue alternates from slice to slice: it looks like two acquisitions interleaved",
            "噪声或组织值逐层交替：似乎两次采集交错在一起",
        ),
        # what the header says
        "cone-beam": (
            "a cone beam ({text}): its numbers are not calibrated to HU",
            "锥形束 CT（{text}）：数值未经 HU 标定",
        ),
        "density-kernel": (
            "kernel {text} gives densities (DirectDensity), not Hounsfield units",
            "重建核 {text} 给出的是密度（DirectDensity），不是 HU",
        ),
        "virtual-image": (
            "a virtual image ({text}): HU of a computed energy or mixture",
            "虚拟图像（{text}）：HU 对应计算得到的能量或成分",
        ),
        "metal-reduction": (
            "metal artefacts were reduced ({text}): HU near metal are computed",
            "经过金属伪影校正（{text}）：金属附近的 HU 为计算值",
        ),
        "unusual-kvp": (
            "{number} kVp: bone and contrast agent read otherwise than at 120",
            "{number} kVp：骨和造影剂的 HU 与 120 kVp 时不同",
        ),
        "no-rescale-type": (
            "no Rescale Type (0028,1054): HU by the standard's rule, not by the header's word",
            "没有 Rescale Type (0028,1054)：按标准默认为 HU，头信息并未声明",
        ),
    }
)
"""Key → (English, 简体中文); {number} and {text} are the evidence's own."""

LOOKS_LIKE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "offset-lost": (
            "as if the offset (−1024 or −1000) had been lost: air near 0, water near 1000",
            "似乎丢失了偏移量（−1024 或 −1000）：空气接近 0，水接近 1000",
        ),
        "rescaled-twice": (
            "as if the rescale had been applied twice: tissue sits about 1000 HU too low",
            "似乎重复应用了斜率与截距：组织低了约 1000 HU",
        ),
        "shifted": (
            "as if something had been subtracted from every value",
            "似乎所有数值都被减去了一个常数",
        ),
        "windowed": (
            "as if a window had been applied: a picture, not values",
            "似乎已加窗：是图片而非测量值",
        ),
        "fraction": ("as if the values had been scaled to fractions", "似乎数值已被归一化为小数"),
        "scaled": (
            "as if the slope were wrong: air and water are a factor apart from where they belong",
            "似乎斜率有误：空气与水的位置相差一个倍数",
        ),
        "inverted": ("as if the values had been inverted", "似乎数值已被反转"),
    }
)
"""Descriptions of implausible numbers: key → (English, 简体中文)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was measured: `number` in HU or percent by its key, None for what is not there.

    `text`: a header's own word.
    """

    key: str
    number: float | None = None
    text: str = ""

    def sentence(self, language: str = "en") -> str:
        """Return what it says, in English ("en") or Chinese ("zh")."""
        written = SENTENCES[self.key][language == "zh"]
        return written.format(number=_shown(self.number), text=self.text)

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "number": self.number,
            **({"text": self.text} if self.text else {}),
            "sentence": self.sentence(),
            "sentence_zh": self.sentence("zh"),
        }


@dataclass(frozen=True, slots=True)
class Plausibility:
    """A verdict on the numbers, with its evidence; `looks_like` is a key of `LOOKS_LIKE` where it is implausible."""

    verdict: Physics
    evidence: tuple[Evidence, ...]
    looks_like: str = ""

    def with_evidence(self, *more: Evidence, uncalibrated: bool = False) -> Plausibility:
        """The same with more evidence behind its own; no longer plausible where that says `uncalibrated`."""
        is_doubted = uncalibrated and self.verdict is Physics.PLAUSIBLE
        verdict = Physics.UNKNOWN if is_doubted else self.verdict
        return Plausibility(verdict, (*self.evidence, *more), self.looks_like)

    def sentences(self, language: str = "en") -> tuple[str, ...]:
        """Return what it looks like first, then the evidence."""
        chinese = language == "zh"
        head = (LOOKS_LIKE[self.looks_like][chinese],) if self.looks_like else ()
        return (*head, *(each.sentence(language) for each in self.evidence))

    def to_json(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "verdict": str(self.verdict),
            "evidence": [each.to_json() for each in self.evidence],
        }
        if self.looks_like:
            english, chinese = LOOKS_LIKE[self.looks_like]
            facts["looks_like"] = {"key": self.looks_like, "sentence": english, "sentence_zh": chinese}
        return facts


def _shown(number: float | None) -> str:
    """A number as people write it: a true minus sign, no more digits than it has."""
    if number is None:
        return ""
    digits = f"{number:.1f}" if abs(number) < 10 and number != round(number) else f"{number:.0f}"
    return digits.replace("-", "−")
