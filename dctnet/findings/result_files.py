"""Result files as values: which files of folders hold results, of which kind, and what is wrong with a broken one.

A result file is JSON with a list ``rows`` (and what is said of all of them beside it), or JSON lines, one row a line. What kind
it is follows from the entries of its rows (``KINDS``); other files are left aside, and named.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Row = dict[str, Any]

# What the rows of each kind have at least; the first kind that fits is the one.
KINDS: dict[str, frozenset[str]] = {
    "attacks": frozenset({"key"}),
    "grid": frozenset({"name", "seed", "top1", "command", "network"}),
    "rates": frozenset({"trained", "tested", "top1", "seed"}),
    "low frequencies": frozenset({"form", "points", "seed", "input", "patches"}),
    "curvature": frozenset({"group", "medians", "run", "noise"}),
    "inside": frozenset({"variant", "top1", "time", "multiply_adds"}),
    "training with spectra": frozenset({"format", "keep", "seed", "top1", "share"}),
    "gates": frozenset({"run", "gates"}),
    "runs": frozenset({"run", "network", "epochs", "top1"}),
    "scales": frozenset({"run", "network", "top1", "block_size"}),
    "readers": frozenset({"reader", "images_per_second"}),
    "loaders": frozenset({"loader", "images_per_second", "cores"}),
    "routes": frozenset({"route", "images_per_second", "threads"}),
    "transforms": frozenset({"transform"}),
    "models": frozenset({"label", "parameters", "train", "forward"}),
    "convolutions": frozenset({"way", "kernel", "size", "train"}),
    "saved spectra": frozenset({"format", "keep", "bytes", "error"}),
    "agreement": frozenset({"pictures", "agreement"}),
    "imports": frozenset({"case", "reference", "wall", "cpu"}),
    "steps": frozenset({"question", "step", "result", "minutes", "command"}),
}
# Entries that are numbers, where a row has them; some kinds have lists or tables of them.
NUMBERS = (
    "top1",
    "top5",
    "accuracy",
    "low",
    "high",
    "l2",
    "linf",
    "ratio",
    "images_per_second",
    "gmac",
    "parameters_m",
    "minutes",
)
LEFT_OUT = {"build", "dist", "runs", "scratch", "node_modules", "__pycache__", "tests"}


class Result(NamedTuple):
    """A file: its path as it is shown, its kind (None: of rows, but none that is known), rows, and what is said of all of them.

    ``grid`` is the YAML file of the same name beside it, ``folder`` where it lies, ``step`` its line in a suite.jsonl there.
    """

    path: str
    name: str
    kind: str | None
    rows: Sequence[Row]
    head: Row
    grid: Row | None
    folder: Path
    step: Row | None = None

    @property
    def quick(self) -> bool:
        """Whether it is of the quick form of a suite."""
        return (self.step or {}).get("form") == "quick"


class Results(NamedTuple):
    """All that was found; ``aside`` are JSON files without rows."""

    files: tuple[Result, ...]
    aside: tuple[str, ...]

    def of(self, *kinds: str | None) -> list[Result]:
        """The results of these kinds, in the order of their paths."""
        return [result for result in self.files if result.kind in kinds]

    def named(self, name: str) -> Result | None:
        """The result whose file has that name, without its suffix; before it the folder, where several have one name.

        A name alone is that of no benchmark of networks, and of no quick form of a suite, if there is another.
        """
        last = [
            r for r in self.files if r.path.rpartition(".")[0] == name or r.path.rpartition(".")[0].endswith(f"/{name}")
        ]
        return min(last, key=lambda result: (result.kind == "models", result.quick), default=None)


def read_results(sources: Sequence[str | os.PathLike[str]]) -> Results:
    """The result files of folders, sub-folders included, and single files.

    Not looked into: hidden folders, virtual environments, and those in ``LEFT_OUT``, unless they are given themselves.
    FileNotFoundError for a source that does not exist, ValueError for one that has no results, and for a broken file, with its
    line.
    """
    files, aside = [], []
    for shown, path in _unique(pair for source in sources for pair in _candidates(Path(source))):
        result = read_result(path, shown)
        (aside if result is None else files).append(shown if result is None else result)
    if not files:
        given = ", ".join(map(str, sources))
        raise ValueError(
            f"there are no result files in {given}: JSON files with rows, or JSON lines, as the programs of experiments/ and "
            "`dctnet bench NAME --out FILE.json` write them"
        )
    return Results(tuple(sorted(files, key=lambda result: result.path)), tuple(sorted(aside)))


def read_result(path: Path, shown: str) -> Result | None:
    """One file; None where it is JSON without rows."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start})") from error
    if path.suffix == ".jsonl":
        numbered, head = list(_lines(text, path)), {}
    else:
        head = _parsed(text, path, 1)
        rows = head.pop("rows", None) if isinstance(head, dict) else None
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            return None
        numbered = [(None, row) for row in rows]
    rows = [row for _, row in numbered]
    kind = _kind(rows, head)
    if kind is not None:
        _complete(numbered, kind, path)
    return Result(
        shown, path.stem, kind, rows, head, _grid(path.with_suffix(".yaml")), path.parent, _step(path.parent, path.name)
    )


def _kind(rows: Sequence[Row], head: Row) -> str | None:
    """The first kind whose entries a row has."""
    for row in rows:
        for kind, entries in KINDS.items():
            if entries <= row.keys() and (kind != "scales" or "finest_band" in head):
                return kind
    return None


def _complete(numbered: Iterable[tuple[int | None, Row]], kind: str, path: Path) -> None:
    """ValueError unless each row has what its kind needs; one of a peer that is ``missing`` needs nothing."""
    if kind == "agreement":  # its last row is of times
        return
    for count, (line, row) in enumerate(numbered, start=1):
        lacking = sorted(KINDS[kind] - row.keys())
        if lacking and "missing" not in row:
            where = f"{path}, row {count}" if line is None else f"{path}, line {line}"
            raise ValueError(
                f"{where}: a row of the kind {kind!r} has no {', '.join(map(repr, lacking))}; measure it again, or take it out"
            )
        for key in NUMBERS:
            value = row.get(key, 0)
            if isinstance(value, (list, dict)) or (value is None and key not in KINDS[kind]):
                continue
            if isinstance(value, (bool, str)) or value is None or not math.isfinite(value):
                where = f"{path}, row {count}" if line is None else f"{path}, line {line}"
                raise ValueError(
                    f"{where}: {key} is a finite number; got {value!r}. Measure the row again, or take it out"
                )


def _lines(text: str, path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            row = _parsed(line, path, number)
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: a row is a JSON object; got {line[:60]!r}")
            yield number, row


def _parsed(text: str, path: Path, first: int) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = first + getattr(error, "lineno", 1) - 1
        raise ValueError(
            f"{path}, line {line}: this is no JSON ({getattr(error, 'msg', error)}); of a killed run, take the line out and run "
            "the command again"
        ) from error


def _grid(path: Path) -> Row | None:
    """The grid of a result file, if that is what the YAML file beside it is."""
    if not path.is_file():
        return None
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    return found if isinstance(found, dict) and "question" in found else None


def _step(folder: Path, name: str) -> Row | None:
    """The last line of a folder's suite.jsonl on a file."""
    path = folder / "suite.jsonl"
    if not path.is_file() or name == path.name:
        return None
    rows = [row for _, row in _lines(path.read_text(encoding="utf-8"), path) if row.get("result") == name]
    return rows[-1] if rows else None


def _candidates(source: Path) -> Iterator[tuple[str, Path]]:
    """(as shown, path) of the JSON files of a source; shown from the source on, as other parts of a path are one machine's."""
    if source.is_file():
        yield source.name, source
    elif source.is_dir():
        root = source.resolve()
        start = Path("" if _is_checkout(root) else root.name)
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not _left_out(Path(folder, name)))
            for name in sorted(names):
                if Path(name).suffix in (".json", ".jsonl"):
                    path = Path(folder, name)
                    yield (start / path.relative_to(root)).as_posix(), path
    else:
        raise FileNotFoundError(2, "no such folder or file of results", str(source))


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def _left_out(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in LEFT_OUT or (folder / "pyvenv.cfg").is_file()


def _unique(pairs: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    seen = set()
    for shown, path in pairs:
        if (real := path.resolve()) not in seen:
            seen.add(real)
            yield shown, path
