"""Networks trained at one compression of their convolutions, tested at all others: pictures.

Usage: python experiments/run.py experiments/cifar10_bandlimited.yaml DATA OUT.jsonl --runs runs/bandlimited
       python experiments/bandlimited_rates.py DATA runs/bandlimited --out experiments/cifar10_bandlimited_rates.json

Takes the last checkpoint of every run below the folder, gives its convolutions each of the compressions at which any of the runs
was trained, and counts the files of DATA/val that it then gets right; with ``--noise``, also under Gaussian noise of these
deviations in gray levels, added to the coefficients, at the compression of training. ``--every 4`` takes each fourth file, the
same ones for all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import yaml
from collect import machine

from dctnet.data.folder import JPEGFolder
from dctnet.data.module import evaluation_transform
from dctnet.data.torch_loader import KeyedLoader
from dctnet.nn.band_limited import set_compression
from dctnet.source_tree import commit
from dctnet.training.classifier import Classifier
from dctnet.training.predict import load_classifier
from dctnet.transforms.functional import gaussian_noise


@torch.inference_mode()
def top1(classifier: Classifier, folder: Path, every: int, sigma: float = 0.0) -> float:
    """Percent of each ``every``-th file that are right, with the same noise for every network."""
    settings, hits, count = classifier.hparams, 0, 0
    generator = torch.Generator().manual_seed(0)
    transform = evaluation_transform(settings.resize_size, settings.image_size, settings.block_size)
    files = JPEGFolder(folder, transform, classes=settings.classes)
    files.samples = files.samples[::every]
    for batch in KeyedLoader(files, 256, workers=0):
        planes = gaussian_noise(batch.coefficients, sigma=sigma, generator=generator) if sigma else batch.coefficients
        hits += (classifier(planes).argmax(1) == batch.labels).sum().item()
        count += len(batch.labels)
    return 100 * hits / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--noise", type=float, nargs="*", default=[5.0, 10.0, 20.0])
    parser.add_argument("--every", type=int, default=1, help="take every N-th file (default 1: all)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runs = {
        path: yaml.safe_load((path.parent / "config.yaml").read_text()) for path in options.runs.glob("*/last.ckpt")
    }
    trained = {path: float(run["model"]["options"]["compression"]) for path, run in runs.items()}
    rows = []
    for path in sorted(runs):
        classifier = load_classifier(path)
        about = {"run": path.parent.name, "seed": runs[path]["seed_everything"], "trained": trained[path]}
        for rate in sorted(set(trained.values())):
            set_compression(classifier, rate)
            rows.append(
                about | {"tested": rate, "noise": 0.0, "top1": top1(classifier, options.data / "val", options.every)}
            )
        set_compression(classifier, trained[path])
        for sigma in options.noise:
            found = top1(classifier, options.data / "val", options.every, sigma)
            rows.append(about | {"tested": trained[path], "noise": sigma, "top1": found})
        print(*rows[-len(set(trained.values())) - len(options.noise) :], sep="\n", flush=True)
    options.out.write_text(
        json.dumps({"commit": commit(), "machine": machine(), "every": options.every, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
