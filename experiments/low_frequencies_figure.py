"""Draw what low_frequencies_first.py measured.

Usage: python experiments/low_frequencies_figure.py experiments/low_frequencies_first.json docs/pictures/low_frequencies_first.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dctnet.findings.low_frequencies import columns_of
from dctnet.report.figures import line_panels


def draw(result: Path, png: Path) -> None:
    """The figure of a result file: a column for each form of the pictures, the mean over seeds."""
    columns = columns_of(json.loads(result.read_text()))
    title = "CIFAR-10, ResNet-18: what is learned when, by frequency"
    with png.open("wb") as file:
        line_panels(list(zip(*columns, strict=True)), title, file, dpi=80)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    draw(*map(Path, sys.argv[1:]))
