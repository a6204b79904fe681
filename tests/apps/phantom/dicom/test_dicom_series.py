"""What a written study holds: wanted series, series to refuse, geometry, units, identity."""

from __future__ import annotations

from itertools import combinations

import highdicom as hd
import numpy as np
import pytest
from apps.phantom.dicom import StudyOptions, VendorStyle, write_study
from pydicom import dcmread

from operators.types import Role, Unit

from .conftest import build_subject
