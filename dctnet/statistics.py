"""The card of a data set: what each band of Y, Cb and Cr holds on average, as ``dctnet stats`` measured it.

A card is a YAML file:

    command       the command that measured it
    pictures      how many were read; broken: how many could not be
    resize        the shorter side that pictures were brought to, or null
    block_size    [luma, chroma]
    blocks        how many blocks of y, cb and cr
    mean, std, energy, peak      each y, cb, cr: a list of b*b numbers in gray levels, row-major

For the coefficients x of a band, ``mean`` is the average of x, ``std`` the root of the average of (x - mean)**2, ``energy``
the average of x**2, which is mean**2 + std**2, and ``peak`` the greatest |x|.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dctnet.arguments import finite, several
from dctnet.packaged import packaged_file, packaged_names

Planes = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
PLANES = ("y", "cb", "cr")
FIGURES = ("mean", "std", "energy", "peak")


class Statistics(NamedTuple):
    """A card, read: for Y, Cb and Cr one number a band, in blocks of ``block_size`` (luma, chroma)."""

    block_size: tuple[int, int]
    mean: Planes
    std: Planes
    energy: Planes
    peak: Planes


def read_statistics(card: str | os.PathLike[str]) -> Statistics:
    """The card at a path (which ends in .yaml or .yml), or the one of that name that comes with dctnet.

    ValueError for a name of none and for a file that is no card, FileNotFoundError where there is no such file.

    >>> read_statistics("cifar10").block_size
    (8, 8)
    """
    if not isinstance(card, (str, os.PathLike)):
        raise ValueError(f"a card of statistics is named by a string or a path; got {card!r}")
    path = Path(card)
    if path.suffix not in (".yaml", ".yml"):
        if str(card) not in (known := packaged_names("statistics")):
            raise ValueError(
                f"a card of statistics is a file that ends in .yaml, or one of {', '.join(known)}; got {str(card)!r}"
            )
        path = packaged_file("statistics", str(card))
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        luma, chroma = several("block_size", found["block_size"], (2,), 1, 32, of_whole=True)
        figures = [
            tuple(tuple(finite(f"a number of {name} of {plane}", x) for x in found[name][plane]) for plane in PLANES)
            for name in FIGURES
        ]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no card of `dctnet stats` ({error!r}); make one: dctnet stats FOLDER") from error
    statistics = Statistics((luma, chroma), *figures)
    for name, planes in zip(FIGURES, figures, strict=True):
        for plane, size, values in zip(PLANES, (luma, chroma, chroma), planes, strict=True):
            least = -math.inf if name == "mean" else 0
            if len(values) != size * size or not all(math.isfinite(x) and x >= least for x in values):
                raise ValueError(
                    f"{path}: {name} of {plane} is {size * size} finite numbers in blocks of {size}, only means below 0; "
                    f"got {len(values)} numbers. Measure again: dctnet stats FOLDER"
                )
    return statistics


def card_text(statistics: Statistics, command: str, facts: dict[str, Any]) -> str:
    """A card as text, the figures in rows of one vertical frequency each, to seven digits."""
    lines = [f"command: {yaml.safe_dump(command, width=1000).splitlines()[0]}"]
    lines += [
        f"{name}: {yaml.safe_dump(value, default_flow_style=True, sort_keys=False).splitlines()[0]}"
        for name, value in facts.items()
    ]
    luma, chroma = statistics.block_size
    lines.append(f"block_size: [{luma}, {chroma}]")
    for name in FIGURES:
        lines.append(f"{name}:")
        for plane, size, values in zip(PLANES, (luma, chroma, chroma), getattr(statistics, name), strict=True):
            rows = [
                ", ".join(f"{x:.7g}" for x in values[start : start + size]) for start in range(0, size * size, size)
            ]
            lines.append(f"  {plane}: [\n    " + ",\n    ".join(rows) + "]")
    return "\n".join(lines) + "\n"
