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
    """Of a picture as 4:2:0: four for the scale of each band, ``value`` for each of its coefficients, the name; at a multiple of 64.

    >>> record_bytes("all", 2, 8, 8, name=0)  # three blocks of 64 coefficients, and 192 scales
    1152
    """
    widths = [len(plane) for plane in bands_of(None if bands == "all" else bands)]
    grids = blocks(height, width, ((2, 2), (1, 1), (1, 1)))
    values = sum(rows * columns * count for (rows, columns), count in zip(grids, widths, strict=True))
    return ceil((4 * sum(widths) + value * values + name) / ALIGNMENT) * ALIGNMENT


def store_sizes() -> str:
    """Gigabytes for all pictures of training and validation, if each was of the typical size."""
    counts = yaml.safe_load((ROOT / "data" / "imagenet.yaml").read_text())["counts"]
    pictures = counts["train"] + counts["val"]
    rows = []
    for bands, dtype in ((6, "int8"), (24, "int8"), (64, "int8"), ("all", "int8"), ("all", "int16")):
        row = {"options": f"`--bands {bands} --dtype {dtype}`"}
        for side in (256, 512):
            width = round(TYPICAL[1] * min(side, TYPICAL[0]) / TYPICAL[0])  # smaller pictures are not enlarged
            one = record_bytes(bands, 2 if dtype == "int16" else 1, min(side, TYPICAL[0]), width)
            row |= {f"kb{side}": one / 1e3, f"gb{side}": pictures * one / 1e9}
        rows.append(row)
    columns = {"kept": "{options}"}
    for side in (256, 512):
        columns |= {f"kB a picture, `--resize {side}`": f"{{kb{side}:.1f}}", f"GB, `--resize {side}`": f"{{gb{side}:.0f}}"}
    return markdown(rows, columns)
