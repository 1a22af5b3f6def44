"""Going through epochs with a loader: the place, and the account of the files that could not be read."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from dctnet.arguments import finite, whole
from dctnet.data.batch import Batch
from dctnet.data.broken import BrokenList
from dctnet.data.folder import DataError
from dctnet.data.keyed_sampling import Place


def check_settings(batch_size: int, workers: int, prefetch: int, max_broken: float) -> None:
    """ValueError for numbers that no loader can work with."""
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("prefetch", prefetch, 1)):
        whole(name, value, least)
    finite("max_broken", max_broken, 0, 1)


class Resumable:
    """A loader with a place in the epochs: ``place`` is its ``Place``."""

    place: Place

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch that the next pass goes through."""
        self.place.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were handed out."""
        return {"epoch": self.place.epoch, "batch": self.place.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at the place that ``state_dict`` gave."""
        self.place.resume(state["epoch"], state["batch"])


class Account:
    """Counts the batches that a loader hands out, and the files that are missing from them, epoch by epoch.

    At the end of an epoch a warning counts the files that could not be read and were not named before, and names ten;
    ``broken_list`` is a CSV file that gets the names of all. As soon as they are more than the share ``max_broken`` of the
    samples of the epoch, DataError is raised. Files that came through pixels are counted at the end of the epoch, too.
    ``report=False`` warns of nothing.
    """

    def __init__(self, place: Place, max_broken: float, report: bool, broken_list: str | Path | None):
        self.place, self.max_broken, self.report = place, max_broken, report
        self.broken_list = None if broken_list is None else BrokenList(broken_list)
        self.reported: set[str] = set()

    def follow(self, batches: Iterable[Batch], asked: int) -> Iterator[Batch]:
        """The batches of one pass, whose whole epoch asks for ``asked`` samples of this rank."""
        broken: dict[str, str] = {}
        through_pixels: dict[str, str] = {}
        for batch in batches:
            self.place.batch += 1
            broken.update(batch.broken)
            through_pixels.update(batch.through_pixels)
            if batch.broken and self.broken_list is not None:
                self.broken_list.add(batch.broken)
            if len(broken) > self.max_broken * asked:
                raise DataError(
                    f"{len(broken)} of {asked} files could not be read, more than the share of {self.max_broken:g} "
                    f"allowed: {_named(broken)}{self._all_names()}. Remove or repair the files, or raise "
                    "--data.max_broken."
                )
            if self.place.batch >= self.place.length:
                self._report(broken, asked, "could not be read, left out", self._all_names())
                self._report(through_pixels, asked, "were read through pixels, slower and rounded")
            yield batch

    def _report(self, files: dict[str, str], asked: int, verdict: str, end: str = "") -> None:
        """Warn of the files that no earlier epoch named."""
        new = {path: reason for path, reason in files.items() if path not in self.reported}
        self.reported.update(new)
        if new and self.report:
            warnings.warn(f"{len(new)} of {asked} files {verdict}: {_named(new)}{end}", stacklevel=4)

    def _all_names(self) -> str:
        return "" if self.broken_list is None else f"; all found so far are named in {self.broken_list.path}"


def _named(files: dict[str, str]) -> str:
    """The first ten with their reasons, and how many there are besides."""
    names = "; ".join(f"{path} ({reason})" for path, reason in list(files.items())[:10])
    return names + (f"; and {len(files) - 10} more" if len(files) > 10 else "")
