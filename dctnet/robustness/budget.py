"""How far an attack may go: distances of pictures, and the nearest picture within a budget.

Pictures are float in [0, 1]; a distance is taken over all values of a picture: the largest (``linf``) or the square root of the
sum of squares (``l2``).
"""

from __future__ import annotations

import torch
from torch import Tensor

NORMS = ("linf", "l2")

# What others compare at: Madry et al. (2018) and RobustBench for CIFAR-10 and ImageNet.
EPSILON = {
    "cifar10": {"linf": 8 / 255, "l2": 0.5},
    "imagenet": {"linf": 4 / 255, "l2": 0.5},
}


def lengths(perturbation: Tensor, norm: str) -> Tensor:
    """The norm (n,) of each perturbation of a batch ``(n, ...)``.

    >>> lengths(torch.tensor([[3.0, -4.0]]), "linf"), lengths(torch.tensor([[3.0, -4.0]]), "l2")
    (tensor([4.]), tensor([5.]))
    """
    flat = perturbation.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


def column(values: Tensor, like: Tensor) -> Tensor:
    """One value a picture (n,) as ``(n, 1, ...)``, to multiply a batch ``(n, ...)`` with."""
    return values.view(-1, *[1] * (like.ndim - 1))


def shortened(perturbation: Tensor, epsilon: float, norm: str) -> Tensor:
    """Each perturbation times the factor, at most 1, that leaves it a norm of ``epsilon`` at most: its direction stays."""
    factor = epsilon / lengths(perturbation, norm).clamp(min=torch.finfo(perturbation.dtype).tiny)
    return perturbation * column(factor.clamp(max=1), perturbation)


def within(pixels: Tensor, perturbed: Tensor, epsilon: float | None, norm: str) -> Tensor:
    """The picture nearest to ``perturbed`` that is within ``epsilon`` of ``pixels`` (None: any distance); then cut to [0, 1].

    Cutting brings each value nearer to that of ``pixels``, so the budget holds after it.

    >>> within(torch.tensor([[0.5, 0.95]]), torch.tensor([[0.9, 1.2]]), 0.25, "linf")
    tensor([[0.7500, 1.0000]])
    """
    if epsilon is not None:
        change = perturbed - pixels
        perturbed = pixels + (change.clamp(-epsilon, epsilon) if norm == "linf" else shortened(change, epsilon, norm))
    return perturbed.clamp(0, 1)
