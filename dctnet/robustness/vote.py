"""The majority of several looks at a picture through a channel that is another one each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from dctnet.arguments import whole
from dctnet.robustness.channel import Channel


class Vote(NamedTuple):
    """``labels`` (n,) int64, the class of most votes of each picture, and ``counts`` (n, classes) int64, the votes of each."""

    labels: Tensor
    counts: Tensor


@torch.no_grad()
def majority_vote(classify: Callable[[Tensor], Tensor], pixels: Tensor, channel: Channel, trials: int = 1) -> Vote:
    """What ``classify`` says of pictures ``(n, c, h, w)`` behind ``channel``, most often of ``trials`` times.

    ``classify`` gives logits ``(n, classes)``, of which the greatest is one vote (of equal ones the first). Among the classes
    of most votes the one with the greatest sum of probabilities (softmax) over all trials wins, of equal ones the first. For a
    channel that is not ``random`` one trial says as much as many. Without gradient. ValueError for other logits, and
    where they are not finite.

    >>> from dctnet.robustness.noise_channels import GaussianChannel
    >>> bright = lambda pixels: torch.stack([0.5 - pixels.mean((1, 2, 3)), pixels.mean((1, 2, 3)) - 0.5], 1)
    >>> noise = GaussianChannel(0.1, torch.Generator().manual_seed(0))
    >>> majority_vote(bright, torch.full((1, 1, 8, 8), 0.6), noise, trials=5)
    Vote(labels=tensor([1]), counts=tensor([[0, 5]]))
    """
    whole("trials", trials, 1)
    counts = likelihood = None
    for _ in range(trials):
        logits = classify(channel(pixels))
        if logits.ndim != 2 or len(logits) != len(pixels) or not bool(logits.isfinite().all()):
            raise ValueError(
                f"classify gives finite logits (n, classes) of {len(pixels)} pictures; got {tuple(logits.shape)}"
                f"{'' if bool(logits.isfinite().all()) else ', not all finite'}"
            )
        if counts is None:
            counts = torch.zeros_like(logits, dtype=torch.int64)
            likelihood = torch.zeros_like(logits, dtype=torch.float64)
        counts.scatter_add_(1, logits.argmax(1, keepdim=True), counts.new_ones(len(logits), 1))
        likelihood += logits.to(torch.float64).softmax(1)
    most = counts == counts.amax(1, keepdim=True)
    return Vote(likelihood.masked_fill(~most, -1).argmax(1), counts)
