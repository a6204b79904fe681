"""What tests of several rooms share."""

from __future__ import annotations

import pytest

from apps.phantom.anatomy import Anatomy, template_anatomy


@pytest.fixture(scope="session")
def template_head() -> Anatomy:
    """The template's head; making it takes seconds, so it is made once."""
    return template_anatomy()
