"""The simulated study as the DICOM files that a vendor's scanner would send."""

from apps.phantom.dicom.scan import StudyOptions, VendorStyle
from apps.phantom.dicom.study import write_study

__all__ = ["StudyOptions", "VendorStyle", "write_study"]
