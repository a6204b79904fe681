"""The house keeps its shape: thin doors, no key that nobody reads, no name that should not be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from apps.map.settings import Settings, load_settings
from operators.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("apps/**/*.py"), *ROOT.glob("operators/**/*.py")])
DEPLOY_DOORS = re.compile(r"^(operators/\w+/operator\.py|apps/map/\w+\.py)$")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_doors_import_the_app_sdk_and_nothing_imports_torchvision(path: Path) -> None:
    modules = set(imported_modules(path))
    assert not {m for m in modules if m.split(".")[0] == "torchvision"}
    if not DEPLOY_DOORS.match(path.relative_to(ROOT).as_posix()):
        assert not {m for m in modules if m.startswith(("monai.deploy", "holoscan"))}


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield name
        for inner in nested_models(info.annotation):
            yield from keys(inner)


def nested_models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from nested_models(argument)


def attributes_read() -> set[str]:
    names: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
    return names


def test_every_key_of_the_configuration_is_read_by_someone() -> None:
    manifest_only = {"input_formats", "output_formats", "gpu", "memory", "title"}
    unread = set(keys(Settings)) - attributes_read() - manifest_only
    assert not unread


def test_every_field_of_the_configuration_is_described() -> None:
    def undescribed(model: type[BaseModel]) -> Iterator[str]:
        for name, info in model.model_fields.items():
            inner = list(nested_models(info.annotation))
            if not info.description and not inner:
                yield f"{model.__name__}.{name}"
            for each in inner:
                yield from undescribed(each)

    assert not list(undescribed(Settings))


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    text = (ROOT / "app.yaml").read_text(encoding="utf-8")
    (tmp_path / "app.yaml").write_text(text + "\nlesoin_segmenter: {}\n")
    with pytest.raises(ConfigurationError, match="lesoin_segmenter"):
        load_settings(tmp_path / "app.yaml")


def test_the_shipped_configuration_is_valid_and_has_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    assert load_settings(ROOT / "app.yaml").application.version == version[1]


def test_modules_stay_small() -> None:
    nouns = ROOT / "operators" / "types.py"  # one page of all nouns beats two halves
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines())
             for path in SOURCES if path != nouns}
    assert not {name: lines for name, lines in sizes.items() if lines > 300}
