"""What a network that draws random numbers and the one that is attacked in its place have to do with each other, measured.

Of the logits f of the network and F of what is attacked, each drawn anew m times at the same pictures, and centred over the
classes since a number added to all logits changes nothing,

    averaged   V(f) / V(F),                the number of draws whose mean varies as F does: K for a mean over K draws
    bias       |mean F - mean f|^2 / V(f)  which is (1 + 1 / averaged) / m by chance where F is a mean of f

V the variance summed over classes and averaged over pictures. With s the share of the true direction in the square of one
gradient of the loss, gradients of two draws have a cosine of about s, those of two means over K draws s K / (s K + 1 - s), and
either has a cosine with the true direction that is the root of that.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.robustness.conditions import attack_conditions


class Draws(NamedTuple):
    """``averaged`` and ``bias`` as at the top of this file, ``agreement`` the median over pictures of the cosine of the gradients
    of two draws of what is attacked; ``varies`` says whether the network's logits do."""

    varies: bool
    averaged: float
    bias: float
    agreement: float


def loss_gradients(network: nn.Module, pixels: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    """The gradient of the cross-entropy with respect to each picture; zeros where the network passes none."""
    with attack_conditions(network, pixels.device, seed):
        inputs = pixels.detach().clone().requires_grad_()
        logits = network(inputs)
        if not logits.requires_grad:
            return torch.zeros_like(pixels)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), inputs, allow_unused=True)
    return torch.zeros_like(pixels) if gradient is None else gradient


def is_random(network: nn.Module, pixels: Tensor, seed: int = 0) -> bool:
    """Whether two passes over the same pictures differ, or a part of the network says that it is ``random``."""
    if any(getattr(part, "random", False) is True for part in network.modules()):
        return True
    with attack_conditions(network, pixels.device, seed), torch.no_grad():
        first, second = network(pixels), network(pixels)
    return not torch.allclose(
        first, second, rtol=1e-4, atol=1e-4 * first.abs().max().item()
    )  # sums of a GPU may differ


def compare_draws(
    network: nn.Module, attacked: nn.Module, pixels: Tensor, labels: Tensor, seed: int = 0, repeats: int = 8
) -> Draws:
    """How ``attacked`` varies in ``repeats`` passes, and where its mean lies, in terms of the draws of ``network``.

    >>> class Noise(nn.Module):
    ...     def forward(self, pixels):
    ...         return pixels.flatten(1) + torch.randn(len(pixels), 12)
    >>> class Mean(nn.Module):
    ...     def forward(self, pixels):
    ...         return torch.stack([Noise()(pixels) for _ in range(10)]).mean(0)
    >>> found = compare_draws(Noise().eval(), Mean().eval(), torch.rand(50, 3, 2, 2), torch.zeros(50, dtype=torch.int64))
    >>> round(found.averaged), found.bias < 0.2
    (10, True)
    """
    single, mean = (_logits(part, pixels, seed + place, repeats) for place, part in enumerate((network, attacked)))
    spread, left = (logits.var(0).sum(1).mean().item() for logits in (single, mean))
    least = 1e-8 * single.square().sum(2).mean().item()  # what sums of a GPU may differ by, squared
    distance = (mean.mean(0) - single.mean(0)).square().sum(1).mean().item()
    gradients = (loss_gradients(attacked, pixels, labels, number).flatten(1).double() for number in (seed, seed + 1))
    return Draws(
        varies=max(spread, left) > least,
        averaged=spread / left if left > least else torch.inf,
        bias=distance / max(spread, least),
        agreement=F.cosine_similarity(*gradients).quantile(0.5).item(),
    )


@torch.no_grad()
def _logits(network: nn.Module, pixels: Tensor, seed: int, repeats: int) -> Tensor:
    """(repeats, n, classes) in float64, centred over the classes."""
    with attack_conditions(network, pixels.device, seed), torch.no_grad():
        logits = torch.stack([network(pixels) for _ in range(repeats)]).double()
    return logits - logits.mean(2, keepdim=True)
