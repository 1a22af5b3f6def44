"""The table of docs/imagenet.md: how large a packed store of ImageNet gets, computed from what a record holds."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import yaml

from dctnet.bands import BandSet, bands_of
from dctnet.data.store_format import ALIGNMENT, blocks
from dctnet.report.tables import markdown

ROOT = Path(__file__).resolve().parents[1]
TYPICAL = 375, 500  # pixels of most pictures of ImageNet, height and width
NAME = 32  # bytes of "n01440764/n01440764_10026.JPEG", nearly


def record_bytes(bands: BandSet, value: int, height: int, width: int, name: int = NAME) -> int:
    """Of a 4:2:0 picture: four for the scale of each band, ``value`` for each of its coefficients, the name; a multiple of 64.

    >>> record_bytes("all", 2, 8, 8, name=0)  # three blocks of 64 coefficients, and 192 scales
    1152
    """
    widths = [len(plane) for plane in bands_of(None if bands == "all" else bands)]
    grids = blocks(height, width, ((2, 2), (1, 1), (1, 1)))
    values = sum(rows * columns * count for (rows, columns), count in zip(grids, widths, strict=True))
    return ceil((4 * sum(widths) + value * values + name) / ALIGNMENT) * ALIGNMENT


def store_sizes() -> str:
    """Of a picture of the typical size brought to 256 pixels, and of all of training and validation, if each was such a one."""
    counts = yaml.safe_load((ROOT / "data" / "imagenet.yaml").read_text())["counts"]
    height, width = 256, round(TYPICAL[1] * 256 / TYPICAL[0])
    rows = []
    for bands, dtype in ((6, "int8"), (24, "int8"), (64, "int8"), ("all", "int8"), ("all", "int16")):
        one = record_bytes(bands, 2 if dtype == "int16" else 1, height, width)
        all_of_them = (counts["train"] + counts["val"]) * one / 1e9
        rows.append({"bands": bands, "dtype": dtype, "kb": one / 1e3, "gb": all_of_them})
    columns = {"kept": "`--resize 256 --bands {bands} --dtype {dtype}`", "kB a picture": "{kb:.1f}"}
    return markdown(rows, columns | {"GB in all": "{gb:.0f}"})
