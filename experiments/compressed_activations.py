"""Does accuracy survive where the backward pass reads truncated spectra?

Usage: dctnet prepare digits data/digits
       python experiments/compressed_activations.py data/digits --out experiments/compressed_activations.json

One network (late_concat, depth 18, width 0.125, block size 2) on the digits at 32 px, without augmentation, AdamW, one cycle of
the learning rate. Each format starts from the same weights and sees the same batches, for each seed.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from collect import machine

from dctnet.coefficients import Coefficients
from dctnet.data.folder import find_images
from dctnet.data.lifted_images import lift_images
from dctnet.jpeg.reader import read_jpegs
from dctnet.models.zoo import create_model
from dctnet.nn.compressed_activations import compressed_activations
from dctnet.source_tree import commit
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, Resize

FORMATS = [None, ("int8", 1.0), ("int4", 1.0), ("int8", 0.5), ("int8", 0.1)]
BATCH = 32


def read(folder: Path, block_size: int = 2) -> tuple[Coefficients, torch.Tensor]:
    """All pictures of FOLDER/CLASS/*.jpg as one batch of blocks of that size, and their classes."""
    paths = find_images(str(folder))
    classes = sorted({Path(path).parent.name for path in paths})
    square = Compose([Resize(32), CenterCrop(32)], block_size=block_size)
    planes = lift_images(square, read_jpegs(paths), range(len(paths)))
    return planes, torch.tensor([classes.index(Path(path).parent.name) for path in paths])


def train(train_set, val_set, form: tuple[str, float] | None, seed: int, epochs: int) -> dict[str, object]:
    """The row of one run."""
    torch.manual_seed(seed)
    (planes, classes), (val_planes, val_classes) = train_set, val_set
    model = create_model("late_concat", 10, depth=18, width=0.125, block_size=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    steps = len(classes) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * steps)
    exact = kept = 0
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(classes))
        for picked in order[: steps * BATCH].view(steps, BATCH):
            packing = nullcontext() if form is None else compressed_activations(model, form[1], form[0])
            with packing as saved:
                loss = F.cross_entropy(model(planes.map(lambda plane, picked=picked: plane[picked])), classes[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            exact, kept = (exact + saved.exact, kept + saved.kept) if saved else (1, 1)
    model.eval()
    with torch.no_grad():
        right = (model(val_planes).argmax(1) == val_classes).float().mean()
    name, keep = form or ("exact", None)
    return {
        "format": name,
        "keep": keep,
        "seed": seed,
        "top1": 100 * float(right),
        "last_loss": loss.item(),
        "share": kept / exact,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sets = read(options.folder / "train"), read(options.folder / "val")
    rows = []
    for seed in range(options.seeds):
        for form in FORMATS:
            rows.append(train(*sets, form, seed, options.epochs))
            print(rows[-1], flush=True)
            command = (
                f"python experiments/compressed_activations.py FOLDER --seeds {options.seeds} --epochs {options.epochs}"
            )
            head = {
                "command": command,
                "commit": commit(),
                "machine": machine(),
                "epochs": options.epochs,
                "batch": BATCH,
            }
            options.out.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
