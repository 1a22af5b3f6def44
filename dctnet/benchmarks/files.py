"""The files that a benchmark measures on, and how many cores it has."""

from __future__ import annotations

import os
import warnings

from dctnet.arguments import whole
from dctnet.data.folder import DataError, find_images
from dctnet.jpeg.reader import read_jpegs


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def readable(folder: str, limit: int) -> list[str]:
    """The first ``limit`` JPEG files below ``folder`` that hold coefficients; DataError where there is none."""
    return with_coefficients(find_images(folder), folder, limit)


def with_coefficients(paths: list[str], folder: str, limit: int) -> list[str]:
    """The first ``limit`` of the files ``paths``, of ``folder``, that hold coefficients; DataError where there is none."""
    paths = paths[: 2 * whole("limit", limit, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = read_jpegs(paths, on_error="skip", threads=cores())
    paths = [path for path, image in zip(paths, images, strict=True) if image and not image.from_pixels][:limit]
    if not paths:
        raise DataError(f"no readable JPEG files under {folder}; name a folder that holds some, at any depth")
    return paths
