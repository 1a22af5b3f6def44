"""The YAML files that travel with the package: cards of data sets, their measured statistics, and complete runs."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = {"cards": "data", "statistics": "data/statistics", "configs": "models"}
_CALLED = {"cards": "card", "statistics": "card of statistics", "configs": "config"}


def packaged_folder(kind: str) -> Path:
    """The folder of ``kind`` "cards", "statistics" or "configs": that of a source checkout, else inside the package."""
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / _FOLDERS[kind]).is_dir():
        return checkout / _FOLDERS[kind]
    return _PACKAGE / kind


def packaged_names(kind: str) -> list[str]:
    """The names of all files of ``kind``."""
    return sorted(path.stem for path in packaged_folder(kind).glob("*.yaml"))


def packaged_file(kind: str, name: str) -> Path:
    """The YAML file called ``name``. FileNotFoundError, with the names there are, for any other name."""
    path = packaged_folder(kind) / f"{name}.yaml"
    if name not in packaged_names(kind):
        raise FileNotFoundError(
            f"there is no {_CALLED[kind]} called {name!r}, and no such file; known: {', '.join(packaged_names(kind))}"
        )
    return path
