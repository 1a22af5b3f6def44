"""Are natural pictures flat and adversarial ones sharp? Gradients, Hessians and noise around pictures that an attack changed.

Usage: python experiments/curvature.py DATA RUN [RUN ...] --out experiments/curvature.json

Of each run of `dctnet fit` pictures of DATA/val, evenly over the classes, that its network has right and C&W (the nearest
picture) makes wrong. Three groups: as they are; attacked; recovered, which is the attacked ones behind a JPEG file of quality
75, of those pictures that this brings back to the right class (the other groups hold all).

    l2              norm of the input gradient of the loss towards the right and towards the adversarial class
    eigenvalue 1    the greatest eigenvalue of the input Hessian of the loss, which is the same towards both, as these networks
                    are linear but for ReLU; of both the median over pictures and its interval
    noise           share of pictures whose class a Gaussian noise of ``sigma`` (pixels of [0, 1]) changes, mean over draws
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch
from collect import machine
from torch import Tensor, nn

from dctnet.robustness.attacks import attack
from dctnet.robustness.channels import create_channel
from dctnet.robustness.recovered_pictures import classes_of, curvature_of, natural_and_adversarial, recovered, taken
from dctnet.robustness.subject import load_pictures, trained_subject
from dctnet.source_tree import commit

SIGMAS, DRAWS = (0.01, 0.02, 0.05), 5
STEPS = {"steps": 100, "search_steps": 4, "step": 0.005, "initial_const": 0.1}  # of C&W
CHANNEL = ("jpeg", 75)


def flips(network: nn.Module, pixels: Tensor) -> dict[str, float]:
    """The share of pictures whose class changes under noise of each sigma."""
    seen = classes_of(network, pixels)
    found = {}
    for sigma in SIGMAS:
        noise = create_channel("gaussian", sigma, generator=torch.Generator().manual_seed(0))
        changed = [(classes_of(network, noise(pixels)) != seen).double().mean().item() for _ in range(DRAWS)]
        found[f"{sigma:g}"] = sum(changed) / DRAWS
    return found


def rows_of(run: Path, data: Path, limit: int) -> list[dict[str, object]]:
    """The three groups of one network."""
    subject = trained_subject(run / "last.ckpt")
    network, pictures = subject.network, load_pictures(subject, data, limit)
    pixels, labels = pictures.pixels, pictures.labels
    right = classes_of(network, pixels) == labels
    if not right.any():
        raise SystemExit(
            f"{run} has none of {len(labels)} pictures right, so there is nothing to attack; take a larger --limit"
        )
    pixels, labels = pixels[right], labels[right]
    attacked = attack("cw", network, pixels, labels, epsilon=None, **STEPS)
    found = taken(network, pixels, attacked, labels)
    rows = []
    for group in (*natural_and_adversarial(found), recovered(network, found, create_channel(*CHANNEL))):
        if not group.members.any():
            print(f"{run.name} has no {group.name} pictures", flush=True)
            continue
        row = {"run": run.name, "network": subject.about["network"], "options": subject.about["network_options"]}
        row |= {"right": int(right.sum())} | curvature_of(network, found, group)
        row["noise"] = flips(network, group.pixels[group.members])
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--limit", type=int, default=60, help="pictures to begin with (default 60)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    about = {"commit": commit(), "machine": machine(), "command": shlex.join(["python", *sys.argv])}
    rows = [row for run in options.runs for row in rows_of(run, options.data, options.limit)]
    options.out.write_text(json.dumps(about | {"limit": options.limit, "attack": STEPS, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
