"""``dctnet summary``: the table of a network by its name, or of one that was trained."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dctnet.data.folder import DataError
from dctnet.models.summary import summary
from dctnet.models.zoo import create_model
from dctnet.training.named_values import named_values
from dctnet.training.predict import load_classifier


def print_summary(network: str, size: Sequence[int], options: str) -> None:
    """Print the summary of ``network``, a name or a checkpoint, at ``size`` (one side, or two)."""
    given = named_values("--options", options, "{depth: 18}")
    if len(size) > 2 or min(size) < 1:
        raise DataError(f"--size is a side, or a height and a width, in pixels; got {' '.join(map(str, size))}")
    if Path(network).is_file():
        if given:
            raise DataError("the checkpoint says what the options of its network are; leave --options out")
        model = load_classifier(network).network
    else:
        model = create_model(network, **given)
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(summary(model, size[0] if len(size) == 1 else (size[0], size[1])).table())
