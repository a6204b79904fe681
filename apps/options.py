"""Options that several commands of `lentiform` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Config = Annotated[
    Path | None, typer.Option(help="Your own app.yaml.", show_default="the project's app.yaml")
]
Models = Annotated[
    Path | None,
    typer.Option("--models", "-m", help="MONAI bundles.", show_default="the project's models"),
]
Seed = Annotated[int, typer.Option(help="Seed: the same seed gives the same subject.")]
