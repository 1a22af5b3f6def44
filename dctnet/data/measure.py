"""``dctnet stats``: the mean, deviation and energy of each band over the JPEG files of a folder, in one pass.

What is measured is what a network reads: planes on the 4:2:0 grid, whatever the sampling of a file, in the block size
asked for, of pictures at their own size or resized. Zero chroma of gray files counts. All blocks weigh the same, so a big
picture weighs more than a small one. Each worker holds one picture at a time, and at most ``AT_ONCE`` blocks of it, or of
several small ones, as float64.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np
from torch import Tensor

from dctnet.coefficients import SPACING_420, Coefficients, block_sizes
from dctnet.data.batch import why_broken
from dctnet.data.broken import Broken
from dctnet.data.folder import DataError, find_images
from dctnet.data.moments import Moments, merge, moments_of
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import results_of
from dctnet.statistics import PLANES, Statistics, card_text
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import Resize
from dctnet.whole_file import write_whole

FILES_A_JOB = 64
JOBS_AT_ONCE = 256  # so that a folder of millions does not wait in memory
AT_ONCE = 2**22  # numbers: 32 MiB in float64

Planes = list[Moments | None]


class Measured(NamedTuple):
    """The moments of Y, Cb and Cr, how many pictures they are of, and the files that could not be read."""

    moments: Planes
    pictures: int
    broken: list[Broken]

    def statistics(self, block_size: tuple[int, int]) -> Statistics:
        """The figures of a card."""
        figures = (
            tuple(tuple(getattr(plane, name).tolist()) for plane in self.moments) for name in Statistics._fields[1:]
        )
        return Statistics(block_size, *figures)


def measure(
    paths: Sequence[str],
    *,
    block_size: int | tuple[int, int] = 8,
    resize: int | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """The moments of all bands over JPEG files, on ``workers`` threads; the result does not depend on how many.

    ``resize`` brings the shorter side of each picture to so many pixels first. ``progress(done, all)`` is called now and then.
    DataError where no file could be read; ValueError for bad arguments.
    """
    blocks = block_sizes(block_size)
    if isinstance(workers, bool) or not isinstance(workers, SupportsIndex) or workers < 1:
        raise ValueError(f"workers is a number of threads, at least 1; got {workers!r}")
    if resize is not None and resize < 1:
        raise ValueError(f"resize is the length of the shorter side, at least 1 pixel; got {resize}")
    transform = Compose([] if resize is None else [Resize(resize)], block_size=blocks)
    jobs = [paths[start : start + FILES_A_JOB] for start in range(0, len(paths), FILES_A_JOB)]
    total = Measured([None] * 3, 0, [])
    with ThreadPoolExecutor(int(workers)) as pool:
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            for part in pool.map(lambda job: _measure(job, transform), jobs[start : start + JOBS_AT_ONCE]):
                planes = [merge(a, b) for a, b in zip(total.moments, part.moments, strict=True)]
                total = Measured(planes, total.pictures + part.pictures, total.broken + part.broken)
                if progress is not None:
                    progress(total.pictures + len(total.broken), len(paths))
    if not total.pictures:
        raise DataError(
            f"none of {len(paths)} files could be read: {'; '.join(': '.join(item) for item in total.broken[:5])}"
        )
    return total


def _measure(paths: Sequence[str], transform: Compose) -> Measured:
    """One job, file after file."""
    moments: Planes = [None] * 3
    waiting: list[list[np.ndarray]] = [[], [], []]  # the blocks of small pictures, until they are enough
    pictures, broken = 0, []

    def count(number: int) -> None:
        if waiting[number]:
            moments[number] = merge(moments[number], moments_of(np.concatenate(waiting[number])))
            waiting[number].clear()

    for path in paths:
        image = results_of([path], threads=1)[0]
        if isinstance(image, (JPEGError, OSError)):
            broken.append(Broken(path, why_broken(image)))
            continue
        for number, plane in enumerate(_planes(image, transform)):
            vectors = _vectors(plane)
            step = max(1, AT_ONCE // vectors.shape[1])
            for start in range(0, len(vectors), step):
                part = vectors[start : start + step]
                if sum(map(len, waiting[number])) + len(part) > step:
                    count(number)
                waiting[number].append(part)
        pictures += 1
    for number in range(3):
        count(number)
    return Measured(moments, pictures, broken)


def _planes(image: JPEGImage, transform: Compose) -> Coefficients:
    """What the transform makes of a picture; the integers themselves where that is nothing.

    Otherwise it does change a last block that is part picture, part padding of the encoder: it goes on with the edge.
    """
    grid = image.grid
    whole = grid.spacing == SPACING_420 and not any(side % 16 for side in grid.size)
    if whole and not transform.transforms and transform.block_size == (8, 8):
        return image.coefficients
    return transform(image)


def _vectors(plane: Tensor) -> np.ndarray:
    """A plane (C, rows, columns) as blocks (n, C)."""
    return plane.movedim(0, -1).reshape(-1, plane.shape[0]).numpy()


def write_card(folder: str, out: str | None, block_size: tuple[int, int], resize: int | None, workers: int) -> Measured:
    """``dctnet stats``: measure a folder and write the card to the file ``out`` (None: to the standard output)."""
    if out is not None and Path(out).suffix not in (".yaml", ".yml"):
        raise ValueError(f"a card is a YAML file; give --out a name that ends in .yaml, got {out!r}")
    if out is not None and not Path(out).parent.is_dir():
        raise DataError(f"there is no folder {Path(out).parent} to write {out} in; make it first")
    if not Path(folder).is_dir():
        raise DataError(f"there is no folder {folder}")
    if not (paths := find_images(folder)):
        raise DataError(f"{folder} holds no JPEG file")
    progress = _show if sys.stderr.isatty() else None
    measured = measure(paths, block_size=block_size, resize=resize, workers=workers, progress=progress)
    for path, reason in measured.broken:
        print(f"not read: {path}: {reason}", file=sys.stderr)
    words = ["dctnet", "stats", folder]
    words += ["--block_size", *map(str, block_size)] if block_size != (8, 8) else []
    words += ["--resize", str(resize)] if resize is not None else []
    facts = {
        "pictures": measured.pictures,
        "broken": len(measured.broken),
        "resize": resize,
        "blocks": {name: plane.count for name, plane in zip(PLANES, measured.moments, strict=True)},
    }
    text = card_text(measured.statistics(block_size), shlex.join(words), facts)
    if out is None:
        print(text, end="")
        return measured
    write_whole(out, text.encode())
    print(f"{out}: {measured.pictures} pictures, {len(measured.broken)} files could not be read")
    return measured


def _show(done: int, planned: int) -> None:
    print(f"\r{done:,} of {planned:,} files", end="" if done < planned else "\n", file=sys.stderr, flush=True)
