"""Figures as JSON holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from apps.evaluate.statistics import Ratio
from operators.labels import LesionClass


def as_plain(value: Any) -> Any:
    """Dataclasses, ratios and enumerations as JSON holds them; NaN is null."""
    if isinstance(value, Ratio):
        value = asdict(value) | {"value": value.value, "interval": value.interval}
    elif is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, LesionClass):
        return value.name.lower()
    if isinstance(value, Mapping):
        return {str(as_plain(key)): as_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
