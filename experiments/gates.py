"""Which bands do learned gates keep open?

Usage: python experiments/gates.py RUN_FOLDER... --out experiments/cifar10_gates.json

For the last checkpoint of each run: the running mean of training of the probability that a gate is open
(``FrequencyGate.openness``), for the 64 bands of Y, Cb and Cr in the order of channels, and how many are open on average.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from collect import machine

from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.source_tree import commit
from dctnet.training.predict import load_classifier


def row_of(run: Path) -> dict[str, object]:
    """The row of one run. ValueError for a network without a gate, or with several."""
    classifier = load_classifier(run / "last.ckpt")
    gates = [module for module in classifier.modules() if isinstance(module, FrequencyGate)]
    if len(gates) != 1:
        raise ValueError(f"{run} has a network of {len(gates)} gates; one was needed, as gated_late_concat has")
    shares = [[round(share, 4) for share in part.tolist()] for part in gates[0].openness.split(64)]
    open_ = dict(zip(("y", "cb", "cr"), shares, strict=True))
    return {"run": run.name, "network": classifier.hparams.network, "gates": open_, "open": sum(map(sum, shares))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = {"commit": commit(), "machine": machine(), "rows": [row_of(run) for run in options.runs]}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for row in result["rows"]:
        print(f"{row['run']}: {row['open']:.1f} of 192 gates are open")


if __name__ == "__main__":
    main()
