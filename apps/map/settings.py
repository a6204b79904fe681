"""app.yaml as one frozen model: every room's section, read once, passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_writer.settings import WriterSettings
from operators.errors import ConfigurationError
from operators.lesion_segmenter.settings import LesionSettings
from operators.lnc_scorer.settings import LncSettings
from operators.quantitative_maps.settings import QuantitativeMapsSettings
from operators.region_segmenter.settings import RegionSettings
from operators.registration.settings import RegistrationSettings

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_CONFIG = REPOSITORY / "app.yaml"
DEFAULT_MODELS = REPOSITORY / "models"
REGION_MODEL = DEFAULT_MODELS / "region_segmenter"
"""What draws regions where nothing else is asked for: in cohorts and evaluations."""


class ApplicationSettings(BaseModel):
    """What the MAP manifest says of the application."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    title: str = Field(description="Name of the application in manifest, SEG and SR.")
    version: str = Field(description="Version of the application; the same as the package's.")
    input_formats: tuple[str, ...] = Field(alias="input-formats", description="MAP manifest.")
    output_formats: tuple[str, ...] = Field(alias="output-formats", description="MAP manifest.")


class ResourceSettings(BaseModel):
    """What the MAP asks of the machine that runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: int = Field(ge=1, description="Processor cores; also the number of threads a step uses.")
    gpu: int = Field(ge=0, description="Accelerators; none is needed.")
    memory: str = Field(description="Memory in MAP notation, such as 6Gi.")


class Settings(BaseModel):
    """The whole of app.yaml. A section left out takes its defaults; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    application: ApplicationSettings
    resources: ResourceSettings
    dicom_loader: LoaderSettings
    quantitative_maps: QuantitativeMapsSettings = Field(default_factory=QuantitativeMapsSettings)
    registration: RegistrationSettings = Field(default_factory=RegistrationSettings)
    region_segmenter: RegionSettings = Field(default_factory=RegionSettings)
    lesion_segmenter: LesionSettings = Field(default_factory=LesionSettings)
    lnc_scorer: LncSettings = Field(default_factory=LncSettings)
    dicom_writer: WriterSettings = Field(default_factory=WriterSettings)

    def resolved(self) -> dict[str, Any]:
        """Every value in force, as plain data, to be written beside the results."""
        return self.model_dump(mode="json", by_alias=True)


def load_settings(path: Path = DEFAULT_CONFIG) -> Settings:
    """Read app.yaml. Raises ConfigurationError naming the key, its value and what was wanted."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        message = f"{path} cannot be read as YAML ({error}). Give a valid app.yaml with --config."
        raise ConfigurationError(message) from error
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: found {fault['input']!r}, {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigurationError(f"{path} is not valid: {faults}. Correct these keys.") from error
