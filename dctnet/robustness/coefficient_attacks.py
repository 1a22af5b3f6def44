"""Attacks on the coefficients themselves, as if somebody wrote the JPEG file and not the pixels.

A coefficient is in gray levels, by an orthonormal transform, so a perturbation of l2 norm r is one of r gray levels in the planes
of samples, whatever the block size. Coefficients have no bounds of their own: what a decoder would clip, a network on
coefficients sees.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, finite, whole
from dctnet.bands import CHANNELS, BandSet
from dctnet.coefficients import Coefficients
from dctnet.robustness.band_attacks import chosen_bands
from dctnet.robustness.budget import NORMS, shortened
from dctnet.robustness.conditions import attack_conditions, check_batch
from dctnet.robustness.projected_gradient import projected_gradient


class FlatNetwork(nn.Module):
    """``network`` of planes that lie one after the other in a vector (n, length); ``like`` gives their shapes and kind."""

    def __init__(self, network: nn.Module, like: Coefficients):
        super().__init__()
        self.network, self.training = network, network.training
        self.kind, self.shapes = type(like), [plane.shape[1:] for plane in like]

    def planes(self, flat: Tensor) -> Coefficients:
        parts = flat.split([shape.numel() for shape in self.shapes], dim=1)
        return self.kind(*(part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)))

    def forward(self, flat: Tensor) -> Tensor:
        return self.network(self.planes(flat))


def attack_coefficients(
    network: nn.Module,
    coefficients: Coefficients,
    labels: Tensor,
    *,
    epsilon: float,
    norm: str = "l2",
    bands: BandSet = None,
    steps: int = 40,
    step: float | None = None,
    random_start: bool = True,
    restarts: int = 1,
    seed: int = 0,
) -> Coefficients:
    """Coefficients within ``epsilon`` that ``network`` is to misclassify, by projected gradient descent.

    ``network`` maps a batch of float planes, in gray levels, to logits (``pixel_classifier.GrayLevels`` of a trained one). The
    budget is in gray levels, over the three planes together: ``l2``, or ``linf`` for each coefficient. With ``bands``, as
    ``dctnet.bands`` takes them, only these channels of blocks of 8 change. The other options are those of ``pgd``. ValueError
    for arguments out of range.

    >>> class Mean(nn.Module):
    ...     def forward(self, planes):
    ...         return planes.y[:, 0].mean((1, 2))[:, None] * torch.tensor([1.0, -1.0])
    >>> planes = Coefficients(*(torch.zeros(1, 64, 1, 1) for _ in range(3)))
    >>> found = attack_coefficients(Mean().eval(), planes, torch.tensor([0]), epsilon=3.0, bands="square-1")
    >>> round(found.y[0, 0].item(), 2), found.y[0, 1:].abs().max().item()
    (-3.0, 0.0)
    """
    if not isinstance(coefficients, Coefficients):
        raise ValueError(
            f"this attacks Coefficients; got a {type(coefficients).__name__}. Pixels are attacked by attack()."
        )
    choice("norm", norm, NORMS)
    epsilon = finite("epsilon", epsilon, 0)
    for plane in coefficients:
        check_batch(network, plane, labels)
    flat = torch.cat([plane.detach().flatten(1) for plane in coefficients], 1)
    attacked = FlatNetwork(network, coefficients)
    free = None if bands is None else free_channels(coefficients, bands)
    with attack_conditions(network, flat.device, whole("seed", seed, 0)):
        found = projected_gradient(
            attacked,
            flat,
            labels,
            epsilon,
            norm,
            steps=steps,
            step=step,
            random_start=random_start,
            restarts=restarts,
            bounds=(-torch.inf, torch.inf),
            projection=None if free is None else lambda perturbation: perturbation * free,
        ).detach()
    moved = flat + shortened(found - flat, epsilon, norm)
    if (
        norm == "linf"
    ):  # large coefficients are rounded by more than 1e-6: then to the next number towards where they were
        moved = torch.where((moved.double() - flat.double()).abs() > epsilon, moved.nextafter(flat), moved)
    return attacked.planes(moved)


def free_channels(coefficients: Coefficients, bands: BandSet) -> Tensor:
    """1 for each coefficient of the flat vector that ``bands`` let change, 0 for the others (1, length)."""
    masks = []
    for plane, kept in zip(coefficients, chosen_bands(bands), strict=True):
        if plane.shape[1] != CHANNELS:
            raise ValueError(f"bands are those of blocks of 8, with {CHANNELS} channels; got {plane.shape[1]} channels")
        mask = torch.zeros_like(plane[:1])
        mask[:, list(kept)] = 1
        masks.append(mask.flatten(1))
    return torch.cat(masks, 1)
