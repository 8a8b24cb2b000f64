// Python's reasons in Chinese, by their keys; the English is the sentence itself. The catalogue is `hounsfield.reasons`,
// which the tests hold this table against.

import type { Told } from "../wire/info";
import { fill, type Language } from "./words";

export const CHINESE: Readonly<Record<string, string>> = {
  "one-slice": "只有一层：层距按约定取 1 mm",
  "one-position": "全部 {count} 层位于同一位置（团注跟踪或灌注）",
  "repeats-one": "{count} 层中有 1 层位置重复",
  repeats: "{count} 层中有 {repeated} 层位置重复",
  sideways: "各层偏离直线最多 {mm} mm",
  uneven: "层距在 {least} 至 {most} mm 之间变化",
  drift: "各层偏离均匀网格最多 {mm} mm",
  "missing-one": "缺失 1 层，沿法线位置 {places} mm",
  missing: "缺失 {count} 层，沿法线位置 {places} mm",
  "missing-more": "缺失 {count} 层，沿法线位置 {places} mm，另有 {more} 层",
  tilted: "倾斜 {degrees}°：每层相对前一层位移 ({step}) mm",
  "rounded-positions": "图像位置的小数位数较少：均匀层距 {mm} mm 可解释所有位置",
  "not-ct": "设备类型为 {modality}，不是 CT：数值不是 HU",
  "modified-hu": "重缩放类型为 HU_MOD：由扫描仪定义的修正 HU",
  unspecified: "CT 的重缩放类型为 US（未注明）：数值保持原样，不称为 HU",
  "other-unit": "重缩放类型为 {unit}：不是 HU 的另一种量，未作下限截断",
  "ct-class": "CT 图像的设备类型写为 {modality}，而重缩放类型为 HU：按 CT 读取",
  "not-ct-class": "SOP 类属于 {kind}，不是 CT：数值不称为 HU",
  "hu-class": "SOP 类属于 {kind}，但重缩放类型为 HU：按 HU 读取",
  "hu-on-request": "按要求作为 HU 读取：文件中写为 {unit}",
  projected: "定位像是投影：其数值不是 HU",
  "rescale-missing": "{name} 缺失：取 {value}",
  "rescale-empty": "{name} 为空：取 {value}",
  "rescale-senseless": "{name} 为 {written}：取 {value}",
  rounded: "{count} 个体素取整，失去小数部分；按浮点类型读取可保留",
  airless: "看起来不是 HU：许多值在 0 附近，却没有低于 −200 的值（空气应在其下）；未作任何平移",
  "root-placed": "各帧位置由 {source} 推得：各帧没有自己的位置",
  "frame-order": "没有位置的各帧按文件中的顺序排列",
  "instance-order": "没有位置的各层按图像号 (0020,0013) 排列",
  localizer: "定位像：是投影，不是断层",
  "no-position": "没有图像位置 (0020,0032)",
  "no-frame-position": "图像位置 (0020,0032) 只是第一帧的，未给出层距",
  "no-orientation": "没有图像方向 (0020,0037)",
  "no-spacing": "没有像素间距 (0028,0030)",
  orientation: "图像方向 {orientation} 不是两个互相垂直的单位向量",
  "frames-of-reference": "同一序列中有 {count} 个不同的参考坐标系 UID：视为同一坐标系",
  "image-types": "同一体数据中有 {count} 种不同的图像类型 (0008,0008)",
  "dropped-one": "1 层与另一层位置和像素相同：已去除",
  dropped: "{count} 层与另一层位置和像素相同：已去除",
  "among-slices": "序列中的定位像",
  "other-matrix": "矩阵为 {matrix}，而体数据为 {volume}",
  "has-position": "有图像位置，而其他层没有",
  "other-orientation": "图像方向与体数据不同",
  "other-spacing": "像素间距与体数据不同",
  "other-class": "SOP 类与体数据不同",
  "repeats-slice": "位置和像素与 {name} 相同",
  "damaged-image": "损坏或不完整的 {kind}：缺少行数 (0028,0010) 和列数",
  "no-image": "没有图像：{kind}",
  "no-class": "没有图像：对象缺少 SOP 类 UID",
  colour: "彩色图像（{kind}）：其数值不是 HU",
  samples: "彩色图像（每像素 {count} 个采样）：其数值不是 HU",
  capture: "二次采集图像：其数值不是 HU",
  "capture-kind": "二次采集图像（{kind}）：其数值不是 HU",
  "unreadable-foreign": "不是 DICOM 文件",
  "unreadable-cut": "文件不完整",
  "unreadable-malformed": "文件内容有误，无法读取",
  "unreadable-unsupported": "采用了不支持的编码",
  "unreadable-place": "文件无法打开",
  unreadable: "无法读取",
};

/** A sentence of the server's in the page's language; in Chinese one without a key, of another server, stays as it is. */
export function say(sentence: string, told: Told, language: Language): string {
  const reason = language === "zh" ? told[sentence] : undefined;
  const chinese = reason && CHINESE[reason.key];
  return chinese === undefined ? sentence : fill(chinese, reason!.values);
}
