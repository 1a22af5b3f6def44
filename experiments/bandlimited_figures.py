"""Draw what networks lose that were trained at one compression of their convolutions and tested at another.

Usage: python experiments/bandlimited_figures.py experiments/cifar10_bandlimited_rates.json docs/pictures/bandlimited_rates.png
       python experiments/bandlimited_figures.py experiments/ucr_rates.json docs/pictures/ucr_rates.png

The first file is that of bandlimited_rates.py, networks on pictures; the second that of ucr_rates.py, networks on time series.
Lines are means over seeds (and sets), dots the seeds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from dctnet.findings.band_limits import PUBLISHED, Rows, clean, of_pictures, of_series, same, seeds_of, values
from dctnet.report.figures import line_panels
from dctnet.report.tables import markdown


def cell(tops: Sequence[float]) -> str:
    """The mean, and the seeds where there are several.

    >>> cell([60, 61]), cell([60])
    ('60.5 (60.0 / 61.0)', '60.0')
    """
    return f"{mean(tops):.1f}" + (f" ({' / '.join(f'{top1:.1f}' for top1 in tops)})" if len(tops) > 1 else "")


def crossed(rows: Rows, line: str, column: str, head: str, column_head: str, total: str | None = None) -> str:
    """A Markdown table of top-1 by two entries of the rows: the mean over sets, and over seeds with each in brackets.

    With ``total`` a last line of that name is of all rows.
    """
    across = values(rows, column)
    parts = {
        value if isinstance(value, str) else f"{value:g}": [row for row in rows if row[line] == value]
        for value in values(rows, line)
    }
    parts |= {} if total is None else {total: rows}
    lines = []
    for name, part in parts.items():
        tops = {f"c{i}": seeds_of([row for row in part if row[column] == found]) for i, found in enumerate(across)}
        lines.append({"line": name} | {key: cell(found) for key, found in tops.items() if found})
    return markdown(lines, {head: "{line}"} | {f"{column_head} {v:g}": f"{{c{i}}}" for i, v in enumerate(across)})


def sets(rows: Rows) -> str:
    """Each set at each rate, the same in training and testing, and the mean of the sets."""
    return crossed(same(rows), "set", "tested", "set", "at", total="mean")


def beside_published(rows: Rows) -> str:
    """Each rate, the same in training and testing, beside the nearest published one."""
    tops = {rate: seeds_of([r for r in same(clean(rows)) if r["tested"] == rate]) for rate in values(rows, "trained")}
    lines = []
    for rate, found in tops.items():
        near = min(PUBLISHED, key=lambda percent, rate=rate: abs(percent - 100 * rate))
        lines.append({"rate": rate, "top1": cell(found), "lost": mean(tops[0.0]) - mean(found)})
        lines[-1] |= {"near": near, "published": PUBLISHED[near], "published_lost": PUBLISHED[0] - PUBLISHED[near]}
    columns = {"dropped": "{rate:.0%}", "top-1 (%), seeds": "{top1}", "below the whole spectrum": "{lost:.1f}"}
    columns |= {
        "published for": "{near:g}%",
        "top-1 (%)": "{published:.1f}",
        "below the whole one": "{published_lost:.1f}",
    }
    return markdown(lines, columns)


def main(result: Path, png: Path) -> None:
    rows = json.loads(result.read_text())["rows"]
    pictures = "set" not in rows[0]
    title = "ResNet-18 on CIFAR-10" if pictures else "FCN on time series"
    panels = of_pictures(rows) if pictures else of_series(rows)
    with png.open("wb") as file:
        line_panels([panels], f"{title}: convolutions that drop a share of the spectrum", file, same_y=False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*map(Path, sys.argv[1:]))
