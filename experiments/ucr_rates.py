"""Networks trained at one compression of their convolutions, tested at all others.

Usage: python experiments/run.py experiments/ucr_compression.yaml DATA experiments/ucr_compression.jsonl --runs runs/ucr
       python experiments/ucr_rates.py runs/ucr --out experiments/ucr_rates.json

Takes the last checkpoint of every run below the folder, whose network is bandlimited_fcn, gives its convolutions each of the
compressions at which any of the runs was trained, and counts the test series that it then gets right. Where both are the
same, that is the accuracy of the run itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import yaml
from bandlimited_figures import crossed, sets
from collect import machine

from dctnet.data.series import SeriesDataModule
from dctnet.nn.band_limited import set_compression
from dctnet.source_tree import commit
from dctnet.training.accuracy import hits
from dctnet.training.predict import load_classifier


def accuracy(network: torch.nn.Module, data: SeriesDataModule, compression: float) -> float:
    """Top-1 in percent on the test series, with all convolutions at ``compression``."""
    set_compression(network, compression)
    with torch.inference_mode():
        found = [hits(network(batch.series), batch.labels, 1) for batch in data.val_dataloader()]
    return 100 * torch.cat(found).double().mean().item()


def rates(folder: Path) -> list[dict[str, object]]:
    """A row for each run and each rate. SystemExit where there is no run."""
    runs = {}
    for path in sorted(folder.glob("*/last.ckpt")):
        config = yaml.safe_load((path.parent / "config.yaml").read_text())
        if config["model"]["network"] == "bandlimited_fcn":
            runs[path] = config
    if not runs:
        raise SystemExit(f"{folder} holds no run of bandlimited_fcn; train the grid first")
    trained = {path: float(config["model"]["options"]["compression"]) for path, config in runs.items()}
    rows = []
    for path, config in runs.items():
        data = SeriesDataModule(**config["data"])
        network = load_classifier(path).network
        about = {"set": data.name, "seed": config["seed_everything"], "trained": trained[path]}
        rows += [
            about | {"tested": rate, "top1": accuracy(network, data, rate)} for rate in sorted(set(trained.values()))
        ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = rates(options.runs)
    options.out.write_text(json.dumps({"commit": commit(), "machine": machine(), "rows": rows}, indent=1) + "\n")
    print(sets(rows), crossed(rows, "trained", "tested", "trained at", "tested at"), sep="\n\n")


if __name__ == "__main__":
    main()
