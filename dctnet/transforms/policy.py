"""Transforms that choose, picture by picture, which others are applied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from dctnet.transforms.geometric import Geometric
from dctnet.transforms.photometric import Photometric


class Policy(ABC):
    """A choice of transforms. ``Compose`` puts what is chosen in its place, so geometric ones merge with their neighbours.

    ``keeps_size``: every transform that may be chosen leaves the size of the picture as it is.
    """

    keeps_size = False

    @abstractmethod
    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        """The transforms for a picture of ``size``, in order, drawn from ``generator`` (None: torch's own)."""


Transform = Geometric | Photometric | Policy


def check_transforms(transforms: Sequence[Transform]) -> list[Transform]:
    """The transforms as a list; ValueError where there are none, or one is none of ours."""
    transforms = list(transforms)
    wrong = [transform for transform in transforms if not isinstance(transform, (Geometric, Photometric, Policy))]
    if wrong or not transforms:
        raise ValueError(f"a choice is between transforms of dctnet, one at least; got {wrong or 'none'}")
    return transforms


class RandomApply(Policy):
    """All of ``transforms`` with probability ``p``, or none, as ``torchvision.transforms.v2.RandomApply``."""

    def __init__(self, transforms: Sequence[Transform], p: float = 0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability in [0, 1]; got {p}")
        self.transforms, self.p = check_transforms(transforms), float(p)

    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        return self.transforms if torch.rand(1, generator=generator).item() < self.p else ()

    def __repr__(self) -> str:
        return f"RandomApply({self.transforms}, p={self.p})"


class RandomChoice(Policy):
    """One of ``transforms``, each with its share of the weights ``p`` (default: all alike)."""

    def __init__(self, transforms: Sequence[Transform], p: Sequence[float] | None = None):
        self.transforms = check_transforms(transforms)
        weights = [1.0] * len(self.transforms) if p is None else [float(weight) for weight in p]
        if len(weights) != len(self.transforms) or min(weights) < 0 or not sum(weights) > 0:
            raise ValueError(f"p holds a weight of at least 0 for each of {len(self.transforms)} transforms; got {p}")
        self.p = [weight / sum(weights) for weight in weights]

    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        number = torch.multinomial(torch.tensor(self.p, dtype=torch.float64), 1, generator=generator).item()
        return (self.transforms[number],)

    def __repr__(self) -> str:
        return f"RandomChoice({self.transforms}, p={self.p})"
