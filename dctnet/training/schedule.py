"""The learning rate: a linear warm-up, then half a cosine, step by step."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """The factor on the base rate at optimizer step ``step`` = 0, 1, ..., total-1.

    ``(step + 1) / (warmup + 1)`` while ``step < warmup``, then ``(1 + cos(pi (step - warmup) / (total - warmup))) / 2``
    (Loshchilov and Hutter 2017, "SGDR", equation 5, with a minimum of 0). It is 1 at ``step == warmup`` and 0 from
    ``step == total`` on.

    >>> [round(warmup_cosine(step, 2, 6), 3) for step in range(7)]
    [0.333, 0.667, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if step >= total:
        return 0.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def warmup_cosine_schedule(optimizer: Optimizer, warmup: int, total: int) -> LambdaLR:
    """``warmup_cosine`` as a scheduler to be stepped after each optimizer step.

    The rate is a function of the step alone, so a resumed run finds the same rates. ValueError unless 0 <= warmup < total.
    """
    if not 0 <= warmup < total:
        raise ValueError(
            f"the warm-up takes {warmup} of {total} steps; it has to be shorter than the run. "
            "Train for more epochs, or lower warmup_epochs."
        )
    return LambdaLR(optimizer, lambda step: warmup_cosine(step, warmup, total))
