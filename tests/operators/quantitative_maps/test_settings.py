"""The room's section of app.yaml is what the code uses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from operators.quantitative_maps.settings import QuantitativeMapsSettings

ROOT = Path(__file__).resolve().parents[3]


def test_app_yaml_states_every_default() -> None:
    section = yaml.safe_load((ROOT / "app.yaml").read_text())["quantitative_maps"]
    assert QuantitativeMapsSettings.model_validate(section) == QuantitativeMapsSettings()
    stated = QuantitativeMapsSettings.model_validate(section).model_dump(exclude_unset=True)
    assert stated == QuantitativeMapsSettings().model_dump()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="smothness"):
        QuantitativeMapsSettings.model_validate({"qsm": {"smothness": 1.0}})
