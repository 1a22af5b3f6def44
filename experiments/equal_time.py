"""As many steps for each row of a grid as take the time of the first row's, measured on this machine before the runs.

Each row and the first are trained side by side for two epochs, as the runs will be: by `dctnet fit`, with as many workers, on
the same places. Counted is the second epoch, in which everything is warm; the ratio of their speeds is the median over rounds.
What a step costs beside the network, which is the same for all, is so in it. The figures stay in a file: a grid that is gone on
with keeps its numbers of steps.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from collect import machine
from grid import Grid, settings_of

from dctnet.packaged import packaged_file
from dctnet.source_tree import commit

ROUNDS = 3

# Trains rows, by their names, side by side for a moment; pictures a second of each.
Speeds = Callable[[Sequence[str]], Sequence[float]]


def equalised(grid: Grid, data: Path, times: Path, speeds: Speeds) -> Grid:
    """The grid with numbers of epochs and of steps in each; ``times`` is read where it is there, else written."""
    config = yaml.safe_load(packaged_file("configs", grid["config"]).read_text())
    first = settings_of(grid, next(iter(grid["rows"])), config)
    if not times.exists():
        measured = measure(list(grid["rows"]), speeds)
        files = sum(1 for path in (data / "train").glob("*/*"))
        head = {"commit": commit(), "machine": machine(), "rounds": ROUNDS, "train_files": files}
        times.parent.mkdir(parents=True, exist_ok=True)
        times.write_text(json.dumps(head | {"speeds": measured}, indent=1) + "\n")
    found = json.loads(times.read_text())
    rows = {}
    for name, row in grid["rows"].items():
        settings = settings_of(grid, name, config)
        each = found["train_files"] // settings["data"]["batch_size"]
        rows[name] = row | steps_of(first["trainer"]["max_epochs"], each, found["speeds"][name]["ratio"])
    return grid | {"rows": rows}


def measure(rows: Sequence[str], speeds: Speeds) -> dict[str, dict[str, object]]:
    """For each row how many times as fast as the first one it trains, and the spread of that over the rounds.

    >>> measure(["a", "b"], lambda names: [{"a": 100.0, "b": 150.0}[name] for name in names])["b"]
    {'ratio': 1.5, 'spread': [1.5, 1.5]}
    """
    found: dict[str, dict[str, object]] = {rows[0]: {"ratio": 1.0, "spread": [1.0, 1.0]}}
    for name in rows[1:]:
        ratios = []
        for _ in range(ROUNDS):
            first, own = speeds([rows[0], name])
            ratios.append(own / first)
        found[name] = {"ratio": statistics.median(ratios), "spread": [min(ratios), max(ratios)]}
        print(f"{name}: {found[name]['ratio']:.2f} steps in the time of one of {rows[0]}", flush=True)
    return found


def steps_of(epochs: int, each: int, ratio: float) -> dict[str, int]:
    """Settings for ``ratio`` times as many steps as ``epochs`` of ``each`` have, in as few epochs as hold them.

    >>> steps_of(3, 100, 1.5)
    {'trainer.max_epochs': 5, 'trainer.check_val_every_n_epoch': 5, 'trainer.limit_train_batches': 90}
    """
    steps = max(1, round(epochs * each * ratio))
    passes = math.ceil(steps / each)
    limit = max(1, round(steps / passes))
    return dict(zip((f"trainer.{name}" for name in SETTINGS), (passes, passes, limit), strict=True))


SETTINGS = ("max_epochs", "check_val_every_n_epoch", "limit_train_batches")
