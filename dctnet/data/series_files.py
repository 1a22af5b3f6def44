"""The files in which time series with labels are handed round: one file, or one part of it, as an array and its labels.

- ``.ts``, the text of sktime and aeon: lines that begin with # or @, ``@data``, then a series a line, ``v,v,v:v,v,v:label``, the
  dimensions and the label parted by colons.
- ``.tsv``, ``.txt`` and ``.csv``: a series a line, the label first, parted by tabs, blanks or commas. One dimension.
- ``.npz``, as tslearn has them: ``X_train`` (n, length, channels) or (n, length), ``y_train`` (n,), and the same for test.

Whole numbers as labels are written as such, so the class ``0.0000000e+00`` is "0". What a file does not say is not made up: a
value that is missing, series of unequal length and time stamps are refused, with the line.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dctnet.data.folder import DataError

GREATEST = float(np.finfo(np.float32).max)


class LabelledSeries(NamedTuple):
    """``values`` (n, channels, length), float64 and finite in float32; ``labels`` the class name of each; where from."""

    values: np.ndarray
    labels: list[str]
    path: Path


def read_text(path: Path) -> LabelledSeries:
    """The series of a ``.ts``, ``.tsv``, ``.txt`` or ``.csv`` file. DataError, with the line, for what cannot be read."""
    rows, labels, first = [], [], 0
    for number, row, label in _ts_rows(path) if path.suffix == ".ts" else _table_rows(path):
        if rows and row.shape != rows[0].shape:
            raise DataError(
                f"{path} line {number}: {_shape(row)}, line {first} has {_shape(rows[0])}. Series of one set have one shape: "
                "cut or pad them to one length first."
            )
        first = first or number
        rows.append(row)
        labels.append(class_name(label, f"{path} line {number}"))
    if not rows:
        raise DataError(f"{path} holds no series; take a whole copy of the file")
    return _checked(LabelledSeries(np.stack(rows), labels, path))


def read_npz(path: Path, part: str) -> LabelledSeries:
    """The ``part``, "train" or "test", of an ``.npz`` file. DataError where it has no such arrays."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in (f"X_{part}", f"y_{part}") if name in arrays.files}
            known = ", ".join(arrays.files)
    except (
        ValueError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:  # objects, one array, half a file
        raise DataError(f"{path} is no .npz file of plain arrays: {error}") from error
    if len(held) < 2:
        raise DataError(f"{path} has the arrays {known or 'none'}; X_{part} and y_{part} are needed")
    values, labels = held.values()
    if values.ndim not in (2, 3) or labels.shape != values.shape[:1] or values.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: X_{part} is {values.dtype} {values.shape} and y_{part} {labels.shape}; needed are numbers (n, length, "
            "channels) or (n, length), and a label for each of the n"
        )
    values = np.asarray(values[..., None] if values.ndim == 2 else values, dtype=np.float64).transpose(0, 2, 1)
    for index, row in enumerate(values):
        where = f"{path}: X_{part}[{index}]"
        _check_finite(row.ravel(), where)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    names = [class_name(str(label), f"{path}: y_{part}[{index}]") for index, label in enumerate(labels)]
    return _checked(LabelledSeries(values, names, path))


def class_name(label: str, where: str) -> str:
    """The name of a class: a number that is whole without its point. DataError for a label that is missing.

    >>> class_name("0.0000000e+00", "line 1"), class_name("Gun-Draw", "line 2")
    ('0', 'Gun-Draw')
    """
    label = label.strip()
    if label.lower() in ("", "?", "nan"):
        raise DataError(f"{where}: the label is missing; only series with a class can be read, remove the others")
    try:
        return str(int(float(label))) if float(label).is_integer() else label
    except ValueError:  # a word
        return label


def _table_rows(path: Path) -> Iterator[tuple[int, np.ndarray, str]]:
    """Line number, values (1, length) and label of each line. What parts the first line parts all: commas, tabs, else blanks."""
    mark = None
    for number, line in _lines(path):
        if mark is None:
            mark = "," if "," in line else "\t" if "\t" in line.strip() else " "
        label, *words = line.split() if mark == " " else line.split(mark)
        yield number, _numbers(words, f"{path} line {number}")[None], label


def _ts_rows(path: Path) -> Iterator[tuple[int, np.ndarray, str]]:
    """Line number, values (channels, length) and label of each line after ``@data``."""
    head: dict[str, list[str]] = {}
    for number, line in _lines(path):
        where, line = f"{path} line {number}", line.strip()
        if line.startswith("#"):
            continue
        if "data" not in head:
            if not line.startswith("@"):
                raise DataError(f"{where}: series come after @data, and there is no such line before this one")
            key, *words = line[1:].split() or [""]
            head[key.lower()] = words
            if key.lower() == "data":
                _check_head(head, where)
            continue
        if "(" in line.rpartition(":")[0]:
            raise DataError(f"{where}: values with time stamps are not read; write the values alone, at equal steps")
        *dimensions, label = line.split(":")
        if not dimensions:
            raise DataError(f"{where}: the label is missing; a series is written v,v,v:label")
        if label.strip() not in head["classlabel"][1:]:
            raise DataError(f"{where}: the label {label!r} is not among those of @classLabel; correct one of the two")
        rows = [_numbers(dimension.split(","), where) for dimension in dimensions]
        if len({len(row) for row in rows}) > 1:
            raise DataError(
                f"{where}: the dimensions have {', '.join(str(len(row)) for row in rows)} values; they have to be of one length"
            )
        yield number, np.stack(rows), label


def _check_head(head: dict[str, list[str]], where: str) -> None:
    """DataError where the header says that the series have time stamps, or no classes."""
    if head.get("timestamps", ["false"])[0].lower() == "true":
        raise DataError(f"{where}: @timeStamps true is not read; write the values alone, at equal steps")
    if [word.lower() for word in head.get("classlabel", [])[:1]] != ["true"]:
        raise DataError(f"{where}: the header has no line @classLabel true CLASS CLASS ...; series need classes here")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers; a mark of the byte order before the first is not part of it."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")


def _numbers(words: list[str], where: str) -> np.ndarray:
    """The words as float64. DataError for one that is none, or empty."""
    if empty := [number for number, word in enumerate(words, start=1) if not word.strip()]:
        raise DataError(f"{where}: value {empty[0]} of {len(words)} is missing; fill it in, or leave the series out")
    try:
        values = np.array([word.strip().replace("?", "nan") for word in words], dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"{where}: what should be values is none: {error}. Is the file whole, and of this format?"
        ) from error
    _check_finite(values, where)
    return values


def _check_finite(values: np.ndarray, where: str) -> None:
    """DataError for a value that is missing (NaN), or too large for float32."""
    wrong = np.flatnonzero(~(np.abs(values) <= GREATEST))
    if len(wrong):
        raise DataError(
            f"{where}: value {wrong[0] + 1} of {len(values)} is {values[wrong[0]]:g}"
            f"{f', and {len(wrong) - 1} more' if len(wrong) > 1 else ''}; fill in missing values, or leave the series out"
        )


def _checked(series: LabelledSeries) -> LabelledSeries:
    """DataError for series that are no series."""
    n, channels, length = series.values.shape
    if not (n and channels and length > 1):
        raise DataError(
            f"{series.path} holds {n} series of {channels} channels and {length} values; needed is one at least, of two values"
        )
    return series


def _shape(row: np.ndarray) -> str:
    """The shape of a series in words."""
    return f"{row.shape[1]} values" if len(row) == 1 else f"{len(row)} dimensions of {row.shape[1]} values"
