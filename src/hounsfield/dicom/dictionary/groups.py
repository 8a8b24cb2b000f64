"""In which group a reader looks for an attribute: the information entity of PS3.3 that it describes.

The rule, in order:

1. Odd group numbers are **private**. Groups 0002 and 0004, which belong to the file, are **file**.
2. An attribute of a module of the Patient, Study or Series entity goes there. Patient: Patient (C.7.1.1),
   Clinical Trial Subject (C.7.1.3), the patient modules of C.2. Study: General Study (C.7.2.1), Patient Study
   (C.7.2.2: the age and weight *at the study*), Clinical Trial Study (C.7.2.3), the visit and the request.
   Series: General Series (C.7.3.1), Clinical Trial Series (C.7.3.2), General and Secondary Capture Equipment
   (C.7.5.1, C.8.6.1), Frame of Reference and Synchronization (C.7.4), the performed procedure step.
3. Otherwise the groups in which image and acquisition modules live are **image** (General Image, CT Image,
   Contrast/Bolus, VOI LUT, Overlay, SOP Common, Multi-frame Functional Groups …).
4. Whatever is left (structured reports, radiotherapy, presentation states, signatures, printing …) is **other**.

A nested attribute belongs with the sequence it stands in; only tags at the top are asked here.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

from pydicom.datadict import tag_for_keyword

from hounsfield.dicom.dictionary.phrase import Phrase


class Group(Enum):
    """Groups in the order they are shown; the value is the word on the command line."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"
    FILE = "file"
    OTHER = "other"
    PRIVATE = "private"

    @property
    def title(self) -> Phrase:
        return _TITLES[self]


_TITLES = {
    Group.PATIENT: Phrase("Patient", "患者"),
    Group.STUDY: Phrase("Study", "检查"),
    Group.SERIES: Phrase("Series", "序列"),
    Group.IMAGE: Phrase("Image", "图像"),
    Group.FILE: Phrase("File", "文件"),
    Group.OTHER: Phrase("Other", "其他"),
    Group.PRIVATE: Phrase("Private", "私有"),
}

_BY_NUMBER = {
    **dict.fromkeys((0x0002, 0x0004), Group.FILE),
    **dict.fromkeys((0x0010, 0x0012), Group.PATIENT),
    **dict.fromkeys((0x0032, 0x0038), Group.STUDY),
    **dict.fromkeys(
        (
            0x0008,
            0x0014,
            0x0016,
            0x0018,
            0x0020,
            0x0022,
            0x0024,
            0x0028,
            0x0040,
            0x0048,
            0x0050,
            0x0052,
            0x0054,
        ),
        Group.IMAGE,
    ),
    **dict.fromkeys((0x0088, 0x2050, 0x5200, 0x5400, 0x5600, 0x7FE0), Group.IMAGE),
    **dict.fromkeys(range(0x6000, 0x6100, 2), Group.IMAGE),
}

_PATIENT = """
ReferencedPatientSequence NumberOfPatientRelatedStudies NumberOfPatientRelatedSeries
NumberOfPatientRelatedInstances ReferencedPatientAliasSequence PatientClinicalTrialParticipationSequence
"""

_STUDY = """
StudyInstanceUID StudyDate StudyTime StudyID StudyDescription AccessionNumber IssuerOfAccessionNumberSequence
ReferringPhysicianName ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers
ReferringPhysicianIdentificationSequence ConsultingPhysicianName ConsultingPhysicianIdentificationSequence
PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy
PhysiciansReadingStudyIdentificationSequence ReferencedStudySequence ReferencedVisitSequence ProcedureCodeSequence
ReasonForPerformedProcedureCodeSequence ModalitiesInStudy SOPClassesInStudy AnatomicRegionsInStudyCodeSequence
NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances SeriesInStudy AcquisitionsInStudy ImagesInStudy
OtherStudyNumbers StudyUpdateDateTime
AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientWeight
PatientSizeCodeSequence PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension MedicalAlerts Allergies
Occupation SmokingStatus AdditionalPatientHistory PregnancyStatus LastMenstrualDate PatientSexNeutered
ClinicalTrialTimePointID ClinicalTrialTimePointDescription ClinicalTrialTimePointTypeCodeSequence
IssuerOfClinicalTrialTimePointID LongitudinalTemporalOffsetFromEvent LongitudinalTemporalEventType
ConsentForClinicalTrialUseSequence DistributionType ConsentForDistributionFlag
OrderPlacerIdentifierSequence OrderFillerIdentifierSequence
RequestedProcedureID ReasonForTheRequestedProcedure RequestedProcedurePriority PatientTransportArrangements
RequestedProcedureLocation ConfidentialityCode ReportingPriority ReasonForRequestedProcedureCodeSequence
NamesOfIntendedRecipientsOfResults IntendedRecipientsOfResultsIdentificationSequence RequestedProcedureComments
IssueDateOfImagingServiceRequest IssueTimeOfImagingServiceRequest OrderEnteredBy OrderEntererLocation
OrderCallbackPhoneNumber OrderCallbackTelecomInformation PlacerOrderNumberImagingServiceRequest
FillerOrderNumberImagingServiceRequest ImagingServiceRequestComments
ConfidentialityConstraintOnPatientDataDescription ReferencedRequestSequence
"""

_SERIES = """
SeriesInstanceUID SeriesNumber SeriesDate SeriesTime SeriesDescription SeriesDescriptionCodeSequence Modality
Laterality ProtocolName BodyPartExamined PatientPosition AnatomicalOrientationType PerformingPhysicianName
PerformingPhysicianIdentificationSequence OperatorsName OperatorIdentificationSequence
ReferencedPerformedProcedureStepSequence RelatedSeriesSequence SmallestPixelValueInSeries LargestPixelValueInSeries
RequestAttributesSequence RequestedSeriesDescription RequestedSeriesDescriptionCodeSequence SeriesType
NumberOfSeriesRelatedInstances AcquisitionsInSeries ImagesInSeries ReferencedDefinedProtocolSequence
ReferencedPerformedProtocolSequence NuclearMedicineSeriesType Units CountsSource
ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID ClinicalTrialSeriesDescription
IssuerOfClinicalTrialSeriesID
Manufacturer ManufacturerModelName ManufacturerRelatedModelGroup ManufacturerDeviceClassUID InstitutionName
InstitutionAddress InstitutionCodeSequence InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence
StationName StationAETitle DeviceSerialNumber DeviceUID DeviceID GantryID UDISequence UniqueDeviceIdentifier
SoftwareVersions SpatialResolution DateOfManufacture DateOfInstallation DateOfLastCalibration TimeOfLastCalibration
DateTimeOfLastCalibration EquipmentModality NetworkID
ConversionType SecondaryCaptureDeviceID SecondaryCaptureDeviceManufacturer
SecondaryCaptureDeviceManufacturerModelName SecondaryCaptureDeviceSoftwareVersions VideoImageFormatAcquired
DigitalImageFormatAcquired PresentationIntentType
FrameOfReferenceUID PositionReferenceIndicator SynchronizationFrameOfReferenceUID SynchronizationTrigger
SynchronizationChannel AcquisitionTimeSynchronized TimeSource TimeDistributionProtocol NTPSourceAddress
VolumeFrameOfReferenceUID TableFrameOfReferenceUID
ScheduledProcedureStepID ScheduledProcedureStepDescription ScheduledProtocolCodeSequence
ScheduledProcedureStepSequence PerformedStationAETitle PerformedStationName PerformedLocation
PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepEndDate
PerformedProcedureStepEndTime PerformedProcedureStepStatus PerformedProcedureStepID
PerformedProcedureStepDescription PerformedProcedureTypeDescription PerformedProtocolCodeSequence
PerformedProtocolType CommentsOnThePerformedProcedureStep PerformedProcedureCodeSequence
PerformedProcedureStepDiscontinuationReasonCodeSequence
"""

# Group 0040 holds procedure steps, images' mappings and doses, and from A000 on structured reports.
_REPORT = range(0x0040A010, 0x0040FFFF)


@cache
def _by_tag() -> dict[int, Group]:
    lists = ((_PATIENT, Group.PATIENT), (_STUDY, Group.STUDY), (_SERIES, Group.SERIES))
    named = {tag_for_keyword(keyword): group for words, group in lists for keyword in words.split()}
    return {tag: group for tag, group in named.items() if tag is not None}


def group_of(tag: int) -> Group:
    """The group of an attribute at the top of a data set, by the rule of this module."""
    if tag >> 16 & 1:
        return Group.PRIVATE
    found = _by_tag().get(tag)
    if found is not None:
        return found
    if tag in _REPORT:
        return Group.OTHER
    return _BY_NUMBER.get(tag >> 16, Group.OTHER)
