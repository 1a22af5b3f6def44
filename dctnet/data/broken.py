"""Files that cannot be read: what is known of one, and the list that a run leaves."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dctnet.whole_file import room_for, write_changed


class Broken(NamedTuple):
    """A file that could not be read, and why, with the byte where reading stopped if there is one."""

    path: str
    reason: str


class BrokenList:
    """The file ``path`` (CSV: path, reason) that names every broken file once, whatever the epochs, ranks and resumes."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def replace(self, broken: Sequence[Broken]) -> None:
        """Name these and no others; without any there is no file. Nothing is written where that is so already."""
        if not broken:
            if self.path.exists():
                self.path.unlink()
            return
        text = io.StringIO(newline="")
        csv.writer(text).writerows([Broken._fields, *broken])
        write_changed(self.path, text.getvalue().encode("utf-8", "surrogateescape"))

    def add(self, broken: Sequence[Broken]) -> None:
        """Append those that are not there yet, in one write."""
        known = set()
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                known = {row["path"] for row in csv.DictReader(file)}
        new = [item for item in broken if item.path not in known]
        if not new:
            return
        with room_for(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", newline="", encoding="utf-8", errors="surrogateescape") as file:
                writer = csv.writer(file)
                if os.fstat(file.fileno()).st_size == 0:
                    writer.writerow(Broken._fields)
                writer.writerows(new)
