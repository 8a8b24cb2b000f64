"""Coded values in words, and the units of numbers: plain data for `explain`, in both languages.

Defined terms and enumerated values of PS3.3 that occur in CT, said shortly; not a copy of the standard's tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from hounsfield.dicom.dictionary import Phrase

_YES_NO = {
    "YES": Phrase("yes", "是"),
    "NO": Phrase("no", "否"),
    "Y": Phrase("yes", "是"),
    "N": Phrase("no", "否"),
}
_SIDES = {
    "L": Phrase("left", "左侧"),
    "R": Phrase("right", "右侧"),
    "U": Phrase("unpaired", "单个（不成对）"),
    "B": Phrase("both sides", "双侧"),
}
_IMAGE_TYPE = {
    "ORIGINAL": Phrase("original", "原始"),
    "DERIVED": Phrase("derived", "派生"),
    "MIXED": Phrase("original and derived frames", "原始与派生帧混合"),
    "PRIMARY": Phrase("primary", "直接采集所得"),
    "SECONDARY": Phrase("secondary", "检查后生成"),
    "AXIAL": Phrase("axial slice", "轴位断层"),
    "LOCALIZER": Phrase("localizer (scout)", "定位像"),
    "VOLUME": Phrase("volume", "容积"),
    "MPR": Phrase("multi-planar reformat", "多平面重建"),
    "REFORMATTED": Phrase("reformatted", "重组"),
    "PROJECTION IMAGE": Phrase("projection", "投影"),
    "RESAMPLED": Phrase("resampled", "重采样"),
    "DOSE_INFO": Phrase("dose page", "剂量页"),
    "SCREEN SAVE": Phrase("screen save", "屏幕截图"),
}
_LOSSY_METHODS = {
    "ISO_10918_1": Phrase("JPEG lossy", "JPEG有损"),
    "ISO_14495_1": Phrase("JPEG-LS near-lossless", "JPEG-LS近无损"),
    "ISO_15444_1": Phrase("JPEG 2000 irreversible", "JPEG 2000不可逆"),
    "ISO_15444_15": Phrase("HTJ2K irreversible", "HTJ2K不可逆"),
}

MEANINGS: Mapping[str, Mapping[str, Phrase]] = {
    "PatientSex": {
        "M": Phrase("male", "男"),
        "F": Phrase("female", "女"),
        "O": Phrase("other", "其他"),
    },
    "PregnancyStatus": {
        "1": Phrase("not pregnant", "未妊娠"),
        "2": Phrase("possibly pregnant", "可能妊娠"),
        "3": Phrase("definitely pregnant", "确定妊娠"),
        "4": Phrase("unknown", "未知"),
    },
    "PatientPosition": {
        "HFS": Phrase("head first, supine", "头先进，仰卧"),
        "HFP": Phrase("head first, prone", "头先进，俯卧"),
        "HFDR": Phrase("head first, lying on the right side", "头先进，右侧卧"),
        "HFDL": Phrase("head first, lying on the left side", "头先进，左侧卧"),
        "FFS": Phrase("feet first, supine", "足先进，仰卧"),
        "FFP": Phrase("feet first, prone", "足先进，俯卧"),
        "FFDR": Phrase("feet first, lying on the right side", "足先进，右侧卧"),
        "FFDL": Phrase("feet first, lying on the left side", "足先进，左侧卧"),
    },
    "Modality": {
        "CT": Phrase("computed tomography", "计算机断层成像"),
        "MR": Phrase("magnetic resonance", "磁共振成像"),
        "PT": Phrase("positron emission tomography", "正电子发射断层成像"),
        "NM": Phrase("nuclear medicine", "核医学"),
        "OT": Phrase("other", "其他"),
        "SC": Phrase("secondary capture", "二次采集"),
        "SR": Phrase("structured report", "结构化报告"),
        "PR": Phrase("presentation state", "显示状态"),
        "SEG": Phrase("segmentation", "分割"),
        "RTSTRUCT": Phrase("radiotherapy structure set", "放疗结构集"),
        "RTDOSE": Phrase("radiotherapy dose", "放疗剂量"),
        "RTPLAN": Phrase("radiotherapy plan", "放疗计划"),
        "US": Phrase("ultrasound", "超声"),
        "CR": Phrase("computed radiography", "计算机X射线摄影"),
        "DX": Phrase("digital radiography", "数字X射线摄影"),
        "XA": Phrase("X-ray angiography", "X射线血管造影"),
        "REG": Phrase("registration", "配准"),
    },
    "ImageType": _IMAGE_TYPE,
    "FrameType": _IMAGE_TYPE,
    "PhotometricInterpretation": {
        "MONOCHROME1": Phrase(
            "greyscale, low values bright (display only)", "灰度，低值显示为白（仅影响显示）"
        ),
        "MONOCHROME2": Phrase("greyscale, low values dark", "灰度，低值显示为黑"),
        "RGB": Phrase("colour", "彩色"),
        "PALETTE COLOR": Phrase("colour by lookup table", "调色板彩色"),
        "YBR_FULL": Phrase("colour, luminance and chrominance", "亮度色度彩色"),
        "YBR_FULL_422": Phrase("colour, chrominance at half width", "亮度色度彩色（色度半宽）"),
        "YBR_ICT": Phrase("colour, as JPEG 2000 transforms it", "亮度色度彩色（JPEG 2000不可逆变换）"),
        "YBR_RCT": Phrase(
            "colour, as JPEG 2000 reversibly transforms it", "亮度色度彩色（JPEG 2000可逆变换）"
        ),
    },
    "PixelRepresentation": {
        "0": Phrase("unsigned integers", "无符号整数"),
        "1": Phrase("signed integers (two's complement)", "有符号整数（二进制补码）"),
    },
    "PlanarConfiguration": {
        "0": Phrase("colours pixel by pixel", "按像素交错排列颜色"),
        "1": Phrase("colours plane by plane", "按平面排列颜色"),
    },
    "RescaleType": {
        "HU": Phrase("Hounsfield units", "亨氏单位"),
        "HU_MOD": Phrase("modified Hounsfield units", "修正的亨氏单位"),
        "US": Phrase("unspecified unit", "未指定单位"),
        "OD": Phrase("optical density × 1000", "光密度 × 1000"),
        "MGML": Phrase("mg/ml, not HU", "mg/ml，非HU"),
        "Z_EFF": Phrase("effective atomic number, not HU", "有效原子序数，非HU"),
        "ED": Phrase("electron density, not HU", "电子密度，非HU"),
        "EDW": Phrase("electron density relative to water, not HU", "相对于水的电子密度，非HU"),
        "PCT": Phrase("percent, not HU", "百分比，非HU"),
    },
    "RotationDirection": {"CW": Phrase("clockwise", "顺时针"), "CC": Phrase("counter-clockwise", "逆时针")},
    "Laterality": _SIDES,
    "ImageLaterality": _SIDES,
    "FrameLaterality": _SIDES,
    "BurnedInAnnotation": _YES_NO,
    "RecognizableVisualFeatures": _YES_NO,
    "PatientIdentityRemoved": _YES_NO,
    "SpatialLocationsPreserved": _YES_NO,
    "QualityControlImage": _YES_NO,
    "MultienergyCTAcquisition": _YES_NO,
    "ContrastBolusAgentAdministered": _YES_NO,
    "ContrastBolusAgentDetected": _YES_NO,
    "LossyImageCompression": {
        "00": Phrase("never lossily compressed", "从未有损压缩"),
        "01": Phrase("has been lossily compressed", "曾被有损压缩"),
    },
    "LossyImageCompressionMethod": _LOSSY_METHODS,
    "ConversionType": {
        "WSD": Phrase("from a workstation", "来自工作站"),
        "SI": Phrase("scanned image", "扫描图像"),
        "DI": Phrase("digital interface", "数字接口"),
        "DV": Phrase("digitised video", "数字化视频"),
        "DF": Phrase("digitised film", "数字化胶片"),
        "SD": Phrase("scanned document", "扫描文档"),
        "SYN": Phrase("synthetic image", "合成图像"),
        "DRW": Phrase("drawing", "绘图"),
    },
    "AcquisitionType": {
        "SPIRAL": Phrase("spiral (helical)", "螺旋扫描"),
        "SEQUENCED": Phrase("axial, step by step", "轴位步进扫描"),
        "CONSTANT_ANGLE": Phrase("tube at a constant angle (localizer)", "球管固定角度（定位像）"),
        "STATIONARY": Phrase("table at rest", "检查床静止"),
        "FREE": Phrase("table moved freely", "检查床自由移动"),
    },
    "ContentQualification": {
        "PRODUCT": Phrase("product", "正式产品"),
        "RESEARCH": Phrase("research", "研究用"),
        "SERVICE": Phrase("service", "维修用"),
    },
    "PixelPresentation": {
        "MONOCHROME": Phrase("greyscale", "灰度"),
        "COLOR": Phrase("colour", "彩色"),
        "MIXED": Phrase("greyscale and colour frames", "灰度与彩色帧混合"),
        "TRUE_COLOR": Phrase("true colour", "真彩色"),
    },
    "PresentationLUTShape": {
        "IDENTITY": Phrase("shown as is", "原样显示"),
        "INVERSE": Phrase("shown inverted", "反相显示"),
    },
    "VOILUTFunction": {
        "LINEAR": Phrase("linear window", "线性窗"),
        "LINEAR_EXACT": Phrase("exact linear window", "精确线性窗"),
        "SIGMOID": Phrase("sigmoid window", "S形窗"),
    },
    "SpecificCharacterSet": {
        "ISO_IR 6": Phrase("ASCII", "ASCII"),
        "ISO_IR 100": Phrase("Latin 1, Western European", "拉丁1，西欧"),
        "ISO_IR 101": Phrase("Latin 2, Central European", "拉丁2，中欧"),
        "ISO_IR 144": Phrase("Cyrillic", "西里尔文"),
        "ISO_IR 13": Phrase("Japanese katakana", "日文片假名"),
        "ISO 2022 IR 6": Phrase("ASCII", "ASCII"),
        "ISO 2022 IR 13": Phrase("Japanese katakana", "日文片假名"),
        "ISO 2022 IR 58": Phrase("simplified Chinese GB 2312", "简体中文 GB 2312"),
        "ISO 2022 IR 87": Phrase("Japanese kanji", "日文汉字"),
        "ISO 2022 IR 100": Phrase("Latin 1, Western European", "拉丁1，西欧"),
        "ISO 2022 IR 149": Phrase("Korean", "韩文"),
        "ISO_IR 192": Phrase("Unicode UTF-8", "Unicode UTF-8"),
        "GB18030": Phrase("Chinese GB 18030", "中文 GB 18030"),
        "GBK": Phrase("Chinese GBK", "中文 GBK"),
    },
    "PerformedProcedureStepStatus": {
        "IN PROGRESS": Phrase("in progress", "进行中"),
        "COMPLETED": Phrase("completed", "已完成"),
        "DISCONTINUED": Phrase("discontinued", "已中止"),
    },
    "CompletionFlag": {"COMPLETE": Phrase("complete", "完整"), "PARTIAL": Phrase("partial", "部分")},
    "VerificationFlag": {
        "VERIFIED": Phrase("verified by a person", "已由人员审核"),
        "UNVERIFIED": Phrase("not verified", "未审核"),
    },
}
"""Keyword → coded value → what it means."""

UNITS: Mapping[str, str] = {
    keyword: unit
    for unit, keywords in {
        "mm": """SliceThickness SpacingBetweenSlices SliceLocation DataCollectionDiameter ReconstructionDiameter
            DistanceSourceToDetector DistanceSourceToPatient DistanceSourceToIsocenter TableHeight FocalSpots
            SingleCollimationWidth TotalCollimationWidth TableFeedPerRotation ScanLength TablePosition
            ImagePositionPatient DistanceSourceToDataCollectionCenter ReconstructionFieldOfView
            DataCollectionCenterPatient ReconstructionTargetCenterPatient ImagerPixelSpacing
            ReconstructionPixelSpacing WaterEquivalentDiameter MeasuredAPDimension MeasuredLateralDimension
            FilterThicknessMinimum FilterThicknessMaximum DistanceSourceToEntrance ExaminedBodyThickness""",
        "m": "PatientSize",
        "kg": "PatientWeight",
        "kg/m²": "PatientBodyMassIndex",
        "kV": "KVP AutoKVPUpperBound AutoKVPLowerBound",
        "keV": "MonoenergeticEnergyEquivalent NominalMaxEnergy NominalMinEnergy EffectiveBinEnergy",
        "mA": "XRayTubeCurrent XRayTubeCurrentInmA",
        "µA": "XRayTubeCurrentInuA",
        "ms": "ExposureTime ExposureTimeInms FrameTime TriggerTime FrameAcquisitionDuration",
        "µs": "ExposureTimeInuS",
        "mAs": "Exposure ExposureInmAs",
        "µAs": "ExposureInuAs",
        "mGy": "CTDIvol EntranceDoseInmGy CTDIvolNotificationTrigger",
        "mGy·cm": "DLPNotificationTrigger",
        "kW": "GeneratorPower",
        "s": "AcquisitionDuration RevolutionTime ContrastFlowDuration ContrastBolusInjectionDelay",
        "mm/s": "TableSpeed ScanVelocity",
        "ml": "ContrastBolusVolume ContrastBolusTotalDose",
        "ml/s": "ContrastFlowRate",
        "mg/ml": "ContrastBolusIngredientConcentration",
        "°": "GantryDetectorTilt GantryDetectorSlew ScanArc AngularPosition TubeAngle ReconstructionAngle",
        "%": "EstimatedDoseSaving",
    }.items()
    for keyword in keywords.split()
}
"""Keyword → the unit PS3.3 gives its numbers."""

CHINESE_UIDS: Mapping[str, str] = {
    "1.2.840.10008.1.2": "隐式VR小端",
    "1.2.840.10008.1.2.1": "显式VR小端",
    "1.2.840.10008.1.2.1.99": "压缩（deflate）显式VR小端",
    "1.2.840.10008.1.2.2": "显式VR大端",
    "1.2.840.10008.1.2.4.50": "JPEG基线（8位有损）",
    "1.2.840.10008.1.2.4.51": "JPEG扩展（12位有损）",
    "1.2.840.10008.1.2.4.57": "JPEG无损",
    "1.2.840.10008.1.2.4.70": "JPEG无损（一阶预测）",
    "1.2.840.10008.1.2.4.80": "JPEG-LS无损",
    "1.2.840.10008.1.2.4.81": "JPEG-LS近无损",
    "1.2.840.10008.1.2.4.90": "JPEG 2000无损",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "高通量JPEG 2000无损",
    "1.2.840.10008.1.2.4.202": "高通量JPEG 2000 RPCL无损",
    "1.2.840.10008.1.2.4.203": "高通量JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE无损",
    "1.2.840.10008.1.3.10": "介质存储目录",
    "1.2.840.10008.5.1.4.1.1.2": "CT图像存储",
    "1.2.840.10008.5.1.4.1.1.2.1": "增强CT图像存储",
    "1.2.840.10008.5.1.4.1.1.2.2": "传统转换增强CT图像存储",
    "1.2.840.10008.5.1.4.1.1.4": "MR图像存储",
    "1.2.840.10008.5.1.4.1.1.7": "二次采集图像存储",
    "1.2.840.10008.5.1.4.1.1.7.4": "多帧真彩色二次采集图像存储",
    "1.2.840.10008.5.1.4.1.1.11.1": "灰度软拷贝显示状态存储",
    "1.2.840.10008.5.1.4.1.1.66": "原始数据存储",
    "1.2.840.10008.5.1.4.1.1.66.4": "分割存储",
    "1.2.840.10008.5.1.4.1.1.88.67": "X射线辐射剂量结构化报告存储",
    "1.2.840.10008.5.1.4.1.1.104.1": "封装PDF存储",
    "1.2.840.10008.5.1.4.1.1.128": "PET图像存储",
    "1.2.840.10008.5.1.4.1.1.481.2": "放疗剂量存储",
    "1.2.840.10008.5.1.4.1.1.481.3": "放疗结构集存储",
    "1.2.840.10008.5.1.4.1.1.481.5": "放疗计划存储",
}
"""Names of the UIDs met around CT; English names are pydicom's."""
