"""Let Holoscan start on a machine without CUDA.

Its libraries link against libcudart even when no GPU is used. The wheel nvidia-cuda-runtime
carries that library; loading it first satisfies the link without root or ldconfig.
"""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path


def preload() -> None:
    """Load libcudart.so.13 from the installed wheel, if it is there and can be loaded."""
    spec = find_spec("nvidia")
    for root in spec.submodule_search_locations or () if spec else ():
        library = Path(root) / "cu13" / "lib" / "libcudart.so.13"
        if library.is_file():
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            return
