"""Versions of what the results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

# What touches numbers or objects on their way into a result; the rest of the lock does not.
_LIBRARIES = (
    "dipy", "highdicom", "holoscan-cu13", "monai", "monai-deploy-app-sdk", "nibabel", "nilearn",
    "numpy", "openvino", "picsl-greedy", "pydicom", "reportlab", "scikit-image", "scipy",
    "SimpleITK", "torch",
)


def library_versions() -> dict[str, str]:
    """Installed version of each library that takes part; Python's own under "python"."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
