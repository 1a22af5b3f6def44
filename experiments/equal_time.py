"""As many steps for each row of a grid as take the time of the first row's, measured on this machine before the runs.

A step here is all that training does for a batch: files read, transformed and put together, forward and backward pass, optimizer.
The steps of a row and of the first one alternate; the ratio of their times is the median over rounds, so that other work on the
machine, which slows both, changes little. On a CPU the batch is made in between, on the same core; on a GPU by the workers of
the grid, beside it. The figures stay in a file: a grid that is gone on with keeps its numbers of steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain, repeat
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from collect import machine
from grid import Grid, settings_of
from untrained import untrained

from dctnet.benchmarks.pairing import bound, paired
from dctnet.packaged import packaged_file
from dctnet.source_tree import commit

ROUNDS = 21


def equalised(grid: Grid, data: Path, times: Path) -> Grid:
    """The grid with numbers of epochs and of steps in each; ``times`` is read where it is there, else written."""
    config = yaml.safe_load(packaged_file("configs", grid["config"]).read_text())
    first = settings_of(grid, next(iter(grid["rows"])), config)
    if not times.exists():
        measured = measure(grid, data, "cuda" if first["trainer"].get("accelerator") == "gpu" else "cpu")
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


def measure(grid: Grid, data: Path, device: str) -> dict[str, dict[str, object]]:
    """For each row how many times as fast as the first one it trains, and the spread of that over the rounds."""
    rows = list(grid["rows"])
    steps = {name: step_of(grid, name, data, device) for name in rows}
    found = {}
    with bound(1) if device == "cpu" else nullcontext():
        for name in rows:
            pair = paired({name: (steps[rows[0]], steps[name])}, ROUNDS)[name]
            found[name] = {"ratio": 1.0 if name == rows[0] else pair.ratio, "spread": list(pair.spread)}
            print(f"{name}: {found[name]['ratio']:.2f} steps in the time of one of {rows[0]}", flush=True)
    return found


def step_of(grid: Grid, name: str, data: Path, device: str) -> Callable[[], None]:
    """One step of training of a row, batch and all."""
    own = {"workers": 0} if device == "cpu" else {}
    module, classifier = untrained(grid, name, data, **own)
    network = classifier.network.to(device).train()
    settings = classifier.hparams
    optimizer = torch.optim.SGD(network.parameters(), 1e-4, momentum=settings.momentum, nesterov=settings.nesterov)
    batches = chain.from_iterable(iter(module.train_dataloader()) for _ in repeat(None))

    def step() -> None:
        batch = next(batches)
        inputs, labels = batch.coefficients.map(lambda plane: plane.to(device)), batch.labels.to(device)
        loss = F.cross_entropy(network(inputs), labels, label_smoothing=settings.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return step
