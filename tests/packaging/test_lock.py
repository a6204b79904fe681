"""One lock holds the main job, the tests and the label server at once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


def pins() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name: Version(version) for name, version in pairs}


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in [project["dependencies"], *extras] for text in group]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_declared_dependency_is_pinned_to_the_version_of_the_lock() -> None:
    locked = pins()
    for requirement in declared():
        version = locked[canonical(requirement.name)]
        assert str(requirement.specifier) == f"=={version}"


def test_the_lock_holds_the_label_server_and_the_numpy_it_needs() -> None:
    locked = pins()
    assert locked["monailabel"] == Version("0.8.5")
    assert locked["numpy"] == Version("1.26.4")
    assert locked["monai"] == Version("1.6.1")


def test_what_is_installed_here_is_what_the_lock_says() -> None:
    from importlib.metadata import PackageNotFoundError, version

    wrong = {}
    for name, pinned in pins().items():
        try:
            found = Version(version(name))
        except PackageNotFoundError:
            continue  # an extra that this environment leaves out
        if found.public != pinned.public:
            wrong[name] = (str(found), str(pinned))
    assert not wrong
