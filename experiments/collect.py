"""Gather finished runs into one result file: what was trained, how well, at what cost.

Usage: python experiments/collect.py RUN_FOLDER... --out experiments/NAME.json

Accuracy is that of the last epoch, not of the best one, which would be chosen on the validation files. Time is the sum over
all epochs, validation included; images/s (or series/s) is the median over epochs, training alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from dctnet.data.module import DCTDataModule
from dctnet.data.series import SeriesDataModule, is_of_series
from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.zoo import create_model
from dctnet.source_tree import commit


def collect(run: Path) -> dict[str, object]:
    """The row of one run folder."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    model, data = config["model"], config["data"]
    with (run / "metrics.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    if len(epochs) != config["trainer"]["max_epochs"]:
        raise SystemExit(
            f"{run} has {len(epochs)} of {config['trainer']['max_epochs']} epochs: the run is not finished"
        )
    what, rate = (of_series, "series_per_second") if is_of_series(data) else (of_pictures, "images_per_second")
    return {
        "run": run.name,
        "network": model["network"],
        **what(model, data),
        "batch_size": data["batch_size"],
        "epochs": len(epochs),
        "seed": config["seed_everything"],
        "top1": 100 * float(epochs[-1]["val_top1"]),
        "top5": 100 * float(epochs[-1]["val_top5"]),
        rate: statistics.median(float(epoch["img/s"]) for epoch in epochs),
        "minutes": sum(float(epoch["seconds"]) for epoch in epochs) / 60,
    }


def of_pictures(model: dict, data: dict) -> dict[str, object]:
    """What the network reads, and its size and cost."""
    block = data["block_size"]
    block = block if isinstance(block, int) else tuple(block)
    classes = len(DCTDataModule(data["root"], loader=data.get("loader", "torch")).classes)
    chosen = model["options"] or {}
    if data.get("bands") is not None:
        chosen = chosen | {"bands": data["bands"]}
    network = create_model(model["network"], num_classes=classes, block_size=block, **chosen)
    return {
        "options": chosen,
        "block_size": block,
        "image_size": data["image_size"],
        "parameters_m": parameters(network) / 1e6,
        "gmac": multiply_adds(network, data["image_size"], block) / 1e9,
    }


def of_series(model: dict, data: dict) -> dict[str, object]:
    """The same for a network on time series."""
    module = SeriesDataModule(data["root"], data["name"])
    chosen = model["options"] or {}
    network = create_model(model["network"], num_classes=len(module.classes), channels=module.channels, **chosen)
    return {
        "options": chosen,
        "set": data["name"],
        "channels": module.channels,
        "length": module.length,
        "train": len(module.series.train.labels),
        "test": len(module.series.test.labels),
        "parameters_m": parameters(network) / 1e6,
    }


def machine() -> dict[str, object]:
    """Where it was measured, without names, and with which versions."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    about = {"cores": os.cpu_count(), "architecture": platform.machine(), "gpu": device, "torch": torch.__version__}
    versions = {name: version(name) for name in ("torchvision", "lightning", "numpy", "dctnet")}
    return about | {"python": platform.python_version()} | versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = {"commit": commit(), "machine": machine(), "rows": [collect(run) for run in options.runs]}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for row in result["rows"]:
        print(f"{row['run']}: top-1 {row['top1']:.1f} %, {row['minutes']:.1f} min")


if __name__ == "__main__":
    main()
