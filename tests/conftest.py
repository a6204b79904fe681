"""What tests of several rooms share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from apps.phantom.anatomy import Anatomy, template_anatomy

# dcm2niix and dcmqi are packages of the environment: their programs lie beside its interpreter.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.fixture(scope="session")
def template_head() -> Anatomy:
    """The template's head; making it takes seconds, so it is made once."""
    return template_anatomy()
