"""Results row by row in a file of JSON lines, each with a key of all that determines it: what is there is not measured again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dctnet.data.folder import DataError
from dctnet.whole_file import room_for

START = b'{"key": '


class RowFile:
    """The rows of ``path``, dicts with the entry ``key``, and those that are appended to it.

    A row is on the disk when ``append`` returns. What a kill left of a last line is cut off. DataError where the file is no
    such file: then nothing in it is changed.

    >>> import tempfile
    >>> rows = RowFile(Path(tempfile.mkdtemp()) / "rows.jsonl")
    >>> rows.append({"key": {"attack": "pgd", "seed": 0}, "accuracy": 0.5})
    >>> RowFile(rows.path).find({"seed": 0, "attack": "pgd"})["accuracy"]
    0.5
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.rows: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}
        content = self.path.read_bytes() if self.path.exists() else b""
        place = self.path if self.path.exists() else next(one for one in self.path.absolute().parents if one.exists())
        if not os.access(place, os.W_OK) or (place != self.path and not place.is_dir()):
            raise DataError(f"{place} cannot be written to, where rows are to go; give another --out")
        *lines, tail = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            if line.strip():
                self._take(self._parsed(line, number))
        if tail:
            self._mend(tail, len(content) - len(tail), len(lines) + 1)

    def find(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """The row of this key, None where there is none."""
        place = self._places.get(written(key))
        return None if place is None else self.rows[place]

    def alike(self, key: dict[str, Any], but: str) -> list[dict[str, Any]]:
        """The rows whose keys differ from this one by the entry ``but`` at most, in the order of the file."""
        same = {name: value for name, value in key.items() if name != but}
        return [row for row in self.rows if {name: value for name, value in row["key"].items() if name != but} == same]

    def append(self, row: dict[str, Any]) -> None:
        """Write a row behind the others. ValueError for a key that is there already."""
        if self.find(row["key"]) is not None:
            raise ValueError(f"{self.path} has this row already: {written(row['key'])}")
        line = START + written(row["key"]).encode()
        rest = written({name: value for name, value in row.items() if name != "key"}).encode()
        line += b", " + rest[1:] + b"\n" if rest != b"{}" else b"}\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with room_for(self.path), self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._take(json.loads(line))

    def _take(self, row: dict[str, Any]) -> None:
        self._places.setdefault(written(row["key"]), len(self.rows))
        self.rows.append(row)

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("key"), dict):
            raise DataError(
                f"line {number} of {self.path} is no row of `dctnet attack`; remove it, or give another --out"
            )
        return row

    def _mend(self, tail: bytes, length: int, number: int) -> None:
        """A last line without an end: whole, or the beginning of a row that is not kept."""
        try:
            self._take(self._parsed(tail, number))
        except DataError:
            if not (tail.startswith(START) or START.startswith(tail)):
                raise
            with self.path.open("rb+") as file:
                file.truncate(length)
            return
        with self.path.open("ab") as file:
            file.write(b"\n")


def written(value: dict[str, Any]) -> str:
    """One text for one value: names in order, numbers as Python writes them. ValueError for what JSON does not hold."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
