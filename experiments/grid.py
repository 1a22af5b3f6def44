"""The questions of this folder: YAML files that say what is asked, what is run for it, and how long that takes.

    title               the question in a few words, for tables
    question, claim     what is asked, and the claim that it is about: its number, and what it says
    minutes             {quick, full}: expected, on two CPU cores and on one GPU; a form that is left out is not run by the suite
    needs               questions whose networks its commands take
    data                the data sets that it needs, such as [cifar10]; a grid trains on the first
    config              the run of `dctnet fit` that all rows start from
    settings, seeds     common to all rows
    rows                for each run its own settings
    train_per_class     the first files of each class for training; val_per_class: for validation (null: all)
    program             a module of this folder that takes the arguments of `dctnet fit` in its place
    values              words for the commands
    commands            what is run after the rows: a list of {run, result}; see suite.py
    quick, full         what is other in this form: settings and values are added, rows are the names of those that are run, all
                        else takes the place of what stands above

A question without rows is its commands alone.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import yaml

FORMS = ("quick", "full")
KNOWN = {
    "title",
    "question",
    "claim",
    "minutes",
    "data",
    "config",
    "settings",
    "seeds",
    "rows",
    "train_per_class",
    "val_per_class",
}
KNOWN |= {"needs", "program", "equal_time", "values", "commands", *FORMS}
MERGED = ("settings", "values")

Grid = dict


def read_grid(path: Path, form: str | None = None) -> Grid:
    """The question of a file in that form (None: as it stands). ValueError for what no question has."""
    grid = yaml.safe_load(path.read_text())
    parts = {name: grid.pop(name, None) or {} for name in FORMS}
    for where, part in ((path, grid), *((f"{name} of {path}", part) for name, part in parts.items())):
        if unknown := sorted(part.keys() - KNOWN):
            raise ValueError(f"{where} has {', '.join(unknown)}; a question has {', '.join(sorted(KNOWN))}")
    other = parts.get(form, {})
    for name, value in other.items():
        if name == "rows":
            if missing := [row for row in value if row not in grid["rows"]]:
                raise ValueError(f"{form} of {path} takes the rows {', '.join(missing)}, which are not there")
            value = {row: grid["rows"][row] for row in value}
        grid[name] = grid.get(name, {}) | value if name in MERGED else value
    return grid


def runs_of(grid: Grid, only: str = "") -> list[tuple[str, int]]:
    """Name and seed of each run whose name has ``only`` in it: all rows with the first seed, then with the next."""
    return [(name, seed) for seed in grid.get("seeds", []) for name in grid.get("rows", {}) if only in name]


def arguments(grid: Grid, name: str, seed: int) -> list[str]:
    """The arguments of ``dctnet fit`` for a run, but for its data and its folder."""
    words = ["--config", grid["config"], "--seed_everything", str(seed)]
    for key, value in (grid.get("settings", {}) | grid["rows"][name]).items():
        words += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    return words


def command(grid: Grid, name: str, seed: int) -> str:
    """The command of a run, but for its data and its folder."""
    program = grid.get("program")
    start = ["dctnet", "fit"] if program is None else ["python", f"experiments/{program}.py"]
    return shlex.join([*start, *arguments(grid, name, seed)])


def settings_of(grid: Grid, name: str, config: dict) -> dict[str, dict]:
    """What a run's ``model``, ``data`` and ``trainer`` get: those of its ``config`` under those of the grid and of the row."""
    merged = {part: dict(config.get(part, {})) for part in ("model", "data", "trainer")}
    for key, value in (grid.get("settings", {}) | grid["rows"][name]).items():
        part, _, option = key.partition(".")
        merged[part][option] = value
    return merged
