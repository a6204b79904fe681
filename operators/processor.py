"""What this machine's processor can do."""

from __future__ import annotations

from pathlib import Path


def computes_bf16() -> bool:
    """Whether the CPU has AMX or AVX512-bf16, in which networks run faster."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags)
