"""What of the registration can be set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RegistrationSettings(BaseModel):
    """Section `registration` of app.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rotation_deg: float = Field(
        default=25.0, gt=0,
        description="Degrees about any axis, from the pose the headers give. A head moves less "
        "between series; more is a failed registration.",
    )
    max_shift_mm: float = Field(
        default=40.0, gt=0,
        description="Millimetres the brain's centre may move from the pose the headers give.",
    )
    min_sharpness: float = Field(
        default=0.05, ge=0, lt=1,
        description="Least share (0 to 1) of mutual information that must be lost when the found "
        "pose is displaced by 3 mm; images that do not belong together lose next to nothing.",
    )
    min_information: float = Field(
        default=0.02, ge=0,
        description="Least mutual information, nats, of the registered images in the brain. Noise "
        "shares 0.001, where the shares below mean nothing.",
    )
    min_identity: float = Field(
        default=0.08, ge=-1, lt=1,
        description="Least share (0 to 1) of mutual information that must be lost when the image "
        "is mirrored left to right and registered anew: somebody else's head loses nothing, an "
        "image with its sides exchanged gains. Own choice, between right poses of two real studies "
        "and other heads simulated for the purpose; test_rejection.py tries it on others.",
    )
    min_overlap: float = Field(
        default=0.05, ge=0, le=1,
        description="Least share (0 to 1) of the brain that the contrast's field of view holds.",
    )
    threads: int = Field(
        default=2, ge=1, description="Series registered at a time.",
    )
