"""Whether an attack takes its options, before hours of others: it is run once where it costs nothing.

The checks of options stand in the attacks, and a value may be wrong for the size of the pictures alone. So an attack is tried on
two gray pictures of that size, with a network that has them wrong already, and with two of whatever it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dctnet.robustness.attacks import attack, options_of

COUNTS = ("steps", "search_steps", "restarts", "repeats", "queries")  # what an attack does so many times
CLASSES = 10


class Brightness(nn.Module):
    """Logits of the mean of all values, the greatest that of the last class."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean((1, 2, 3))[:, None] * torch.linspace(-1, 1, CLASSES, dtype=pixels.dtype)


def try_attack(name: str, epsilon: float | None, options: dict[str, Any], size: Sequence[int]) -> None:
    """ValueError that names attack and option where ``attack`` refuses them for pictures ``(3, H, W)`` of this ``size``.

    >>> try_attack("pgd", 8 / 255, {"steps": 0}, (3, 8, 8))
    Traceback (most recent call last):
    ValueError: attack pgd: steps is a whole number at least 1; got 0
    """
    few = {
        option: min(value, 2) if type(value) is int else value
        for option, value in (options_of(name) | options).items()
        if option in COUNTS
    }
    pixels, labels = torch.full((2, *size), 0.5), torch.zeros(2, dtype=torch.int64)
    try:
        attack(name, Brightness().eval(), pixels, labels, epsilon=epsilon, **(options | few))
    except ValueError as error:
        raise ValueError(f"attack {name}: {error}") from error
