// Python's reasons in Chinese, sentence by sentence; one that is not known here stays as Python says it.

import type { Language } from "./words";

const SENTENCES: readonly (readonly [RegExp, string])[] = [
  [/^a single slice: the slice step is a convention \(1 mm\)$/, "只有一层：层距按约定取 1 mm"],
  [/^all (\d+) slices are at one position \(bolus tracking or perfusion\)$/, "全部 $1 层位于同一位置（团注跟踪或灌注）"],
  [/^(\d+) of (\d+) slices repeats? a position$/, "$2 层中有 $1 层位置重复"],
  [/^slices shift sideways by up to ([\d.]+) mm from a straight line$/, "各层偏离直线最多 $1 mm"],
  [/^slice steps vary from ([\d.]+) to ([\d.]+) mm$/, "层距在 $1 至 $2 mm 之间变化"],
  [/^slices drift by up to ([\d.]+) mm from an even grid$/, "各层偏离均匀网格最多 $1 mm"],
  [/^(\d+) slices? (?:is|are) missing, at (.+?)(?: and (\d+) more)? mm along the normal$/, "缺失 $1 层，沿法线位置 $2 mm"],
  [/^tilted by ([\d.]+)°: each slice lies \((.+)\) mm from the one before$/, "倾斜 $1°：每层相对前一层位移 ($2) mm"],
  [/^Modality is (.+), not CT: values are not HU$/, "设备类型为 $1，不是 CT：数值不是 HU"],
  [/^Rescale Type is HU_MOD: modified Hounsfield units, as the scanner defines them$/, "重缩放类型为 HU_MOD：由扫描仪定义的修正 HU"],
  [/^Rescale Type is US \(unspecified\) on a CT: numbers kept as they are, not called HU$/, "CT 的重缩放类型为 US（未注明）：数值保持原样，不称为 HU"],
  [/^Rescale Type is (.+): another quantity than Hounsfield units, not clamped$/, "重缩放类型为 $1：不是 HU 的另一种量，未作下限截断"],
  [/^a localizer in the series$/, "序列中的定位像"],
  [/^a localizer: a projection, not slices$/, "定位像：是投影，不是断层"],
  [/^a localizer is a projection: its values are not HU$/, "定位像是投影：其数值不是 HU"],
  [/^matrix (.+), the volume's is (.+)$/, "矩阵为 $1，而体数据为 $2"],
  [/^no Image Position \(Patient\) \(0020,0032\)$/, "没有图像位置 (0020,0032)"],
  [/^no Image Orientation \(Patient\) \(0020,0037\)$/, "没有图像方向 (0020,0037)"],
  [/^no Pixel Spacing \(0028,0030\)$/, "没有像素间距 (0028,0030)"],
  [/^another (Image Orientation \(Patient\)|Pixel Spacing|SOP Class) than the volume's$/, "$1 与体数据不同"],
  [/^no image: (.+)$/, "没有图像：$1"],
  [/^a colour image \((.+)\): its values are not HU$/, "彩色图像（$1）：其数值不是 HU"],
  [/^a Secondary Capture(?: \((.+)\))?: its values are not HU$/, "二次采集图像：其数值不是 HU"],
  [/^(\d+) slices? repeats? another one's position and pixels: dropped$/, "$1 层与另一层位置和像素相同：已去除"],
  [/^(\d+) different Frame of Reference UIDs in one series: taken as one frame$/, "同一序列中有 $1 个不同的参考坐标系 UID：视为同一坐标系"],
  [/^(\d+) different Image Types \(0008,0008\) in one volume$/, "同一体数据中有 $1 种不同的图像类型 (0008,0008)"],
  [/^(.+) is missing: taken as (.+)$/, "$1 缺失：取 $2"],
  [/^(.+) is empty: taken as (.+)$/, "$1 为空：取 $2"],
  [/^(.+) is ('.*'): taken as (.+)$/, "$1 为 $2：取 $3"],
  [/^declares (.+) but holds native pixels: read as native$/, "声明为 $1，实为未压缩像素：按未压缩读取"],
  [/^(\d+) more frames than Number of Frames says: not read$/, "比帧数多出 $1 帧：未读取"],
  [/^High Bit (\d+) with Bits Stored (\d+): shifted$/, "最高位 $1 而存储位数 $2：已移位"],
  [/^nothing in this series has HU(?:: (.+))?$/, "此序列中没有 HU 数值"],
];

export function say(reason: string, language: Language): string {
  if (language === "en") return reason;
  for (const [sentence, chinese] of SENTENCES) if (sentence.test(reason)) return reason.replace(sentence, chinese);
  return reason;
}
