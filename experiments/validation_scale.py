"""At which scale should a network be validated that was trained on random crops?

Usage: python experiments/validation_scale.py DATA RUN_FOLDER... [--sizes 32 34 36 38 40] --out experiments/validation_scale.json

A random resized crop enlarges what it takes, and enlarged pictures have weaker high frequencies. For each length of the shorter
side before the central crop of validation: top-1 of each run's last checkpoint on DATA/val, and the deviation of the finest band
of luma (blocks of 2, the diagonal one) over that in training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import yaml
from collect import machine

from dctnet.data.folder import JPEGFolder
from dctnet.data.module import DCTDataModule, evaluation_transform
from dctnet.data.torch_loader import KeyedLoader
from dctnet.source_tree import commit
from dctnet.training.predict import load_classifier
from dctnet.transforms.compose import Compose


@torch.inference_mode()
def top1(run: Path, data: Path, sizes: list[int]) -> dict[str, object]:
    """The row of one run."""
    classifier = load_classifier(run / "last.ckpt")
    settings, right = classifier.hparams, {}
    for size in sizes:
        transform = evaluation_transform(size, settings.image_size, settings.block_size)
        hits = count = 0
        for batch in KeyedLoader(JPEGFolder(data / "val", transform, classes=settings.classes), 256, workers=0):
            hits += (classifier(batch.coefficients).argmax(1) == batch.labels).sum().item()
            count += len(batch.labels)
        right[str(size)] = 100 * hits / count
    return {"run": run.name, "network": settings.network, "block_size": settings.block_size, "top1": right}


def finest(folder: Path, transform: Compose) -> float:
    """The deviation of the diagonal band of luma in blocks of 2, over all pictures of the folder."""
    squares = count = 0
    for batch in KeyedLoader(JPEGFolder(folder, transform), 256, workers=0):
        band = batch.coefficients.y[:, 3].double()
        squares, count = squares + band.square().sum().item(), count + band.numel()
    return (squares / count) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 34, 36, 38, 40])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    settings = yaml.safe_load((options.runs[0] / "config.yaml").read_text())["data"]
    settings |= {"root": str(options.data), "block_size": 2}
    data = DCTDataModule(**settings)
    trained = finest(options.data / "train", data.train_transform)
    bands = {
        str(size): finest(options.data / "val", evaluation_transform(size, data.image_size, 2)) / trained
        for size in options.sizes
    }
    rows = [top1(run, options.data, options.sizes) for run in options.runs]
    result = {"commit": commit(), "machine": machine(), "finest_band": bands, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print("finest band over training's:", bands)
    for row in rows:
        print(row["run"], row["top1"])


if __name__ == "__main__":
    main()
