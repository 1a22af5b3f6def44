"""Results row by row in a file of JSON lines, each with a key of all that determines it: what is there is not measured again."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from dctnet.data.folder import DataError
from dctnet.whole_file import room_for

START = b'{"key": '
END = 4096  # bytes by which a file is known again: those of a row or more


class RowFile:
    """The rows of ``path``, dicts with the entry ``key``, and those that are appended to it.

    A row is on the disk when ``append`` returns. What a kill left of a last line is cut off. Several processes may append to one
    file: each takes up what the others wrote, and a row is there once. DataError where the file is no such file: then nothing in
    it is changed.

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
        self._read = 0  # bytes of the file that are in ``rows``
        self._lines, self._end = 0, b""  # so many lines, and the last bytes of them
        if self.path.exists() and not self.path.is_file():
            raise DataError(f"{self.path} is no file; give another --out")
        place = self.path if self.path.exists() else next(one for one in self.path.absolute().parents if one.exists())
        if not os.access(place, os.W_OK) or (place != self.path and not place.is_dir()):
            raise DataError(f"{place} cannot be written to, where rows are to go; give another --out")
        if self.path.exists():
            with self.path.open("rb+") as file:
                _lock(file)
                self._take_up(file)

    def find(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """The row of this key, None where there is none."""
        place = self._places.get(written(key))
        return None if place is None else self.rows[place]

    def alike(self, key: dict[str, Any], but: str) -> list[dict[str, Any]]:
        """The rows whose keys differ from this one by the entry ``but`` at most, in the order of the file."""
        same = {name: value for name, value in key.items() if name != but}
        return [row for row in self.rows if {name: value for name, value in row["key"].items() if name != but} == same]

    def append(self, row: dict[str, Any]) -> None:
        """Write a row behind the others; none where another process has measured it meanwhile.

        ValueError for a key that was there already.
        """
        if self.find(row["key"]) is not None:
            raise ValueError(f"{self.path} has this row already: {written(row['key'])}")
        line = _line(row)
        with self._opened() as file:
            if self.find(row["key"]) is None:
                self._write(file, line)
                self._take(json.loads(line))

    def begin(self) -> None:
        """Make the file, if it is not there, before anything is measured for it."""
        with self._opened():
            pass

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """The file behind what all processes wrote. What was taken away from it meanwhile is written again: nothing is lost."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with room_for(self.path), self.path.open("ab+") as file:
            _lock(file)
            known: list[dict[str, Any]] = []
            file.seek(self._read - len(self._end))
            if file.read(len(self._end)) != self._end:
                known, self.rows, self._places, self._read, self._lines = self.rows, [], {}, 0, 0
            self._take_up(file)
            for row in known:
                if self.find(row["key"]) is None:
                    self._write(file, _line(row))
                    self._take(row)
            yield file

    def _write(self, file: BinaryIO, line: bytes) -> None:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        self._read += len(line)
        self._lines += 1
        self._end = (self._end + line)[-END:]

    def _take_up(self, file: BinaryIO) -> None:
        """What stands in the file behind what is known. A last line without an end: whole, or the beginning of a row, cut off."""
        file.seek(self._read)
        *lines, tail = file.read().split(b"\n")
        found = [self._parsed(line, number) for number, line in enumerate(lines, self._lines + 1) if line.strip()]
        if tail:
            try:
                found.append(self._parsed(tail, self._lines + len(lines) + 1))
                file.write(b"\n")
            except DataError:
                if not (tail.startswith(START) or START.startswith(tail)):
                    raise
                file.truncate(file.tell() - len(tail))
        file.flush()
        for row in found:
            self._take(row)
        self._read, self._lines = file.seek(0, os.SEEK_END), self._lines + len(lines)
        file.seek(max(0, self._read - END))
        self._end = file.read()

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


def _line(row: dict[str, Any]) -> bytes:
    """A row as it stands in the file, its key first."""
    rest = written({name: value for name, value in row.items() if name != "key"}).encode()
    start = START + written(row["key"]).encode()
    return start + (b", " + rest[1:] + b"\n" if rest != b"{}" else b"}\n")


def _lock(file: BinaryIO) -> None:
    """Waits until no other process holds the file, as long as it is open; not on file systems without locks."""
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


def written(value: dict[str, Any]) -> str:
    """One text for one value: names in order, numbers as Python writes them. ValueError for what JSON does not hold."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
