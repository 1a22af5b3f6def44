"""Transforms that choose, picture by picture, which others are applied."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from dctnet.arguments import finite, several
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

    def ways(self) -> Sequence[Sequence[Transform]] | None:
        """All that may be chosen; None where that is too much to tell, and works on values in gray levels."""
        return None


Transform = Geometric | Photometric | Policy


def check_transforms(transforms: Sequence[Transform], least: int = 0) -> list[Transform]:
    """The transforms as a list; ValueError where there are fewer than ``least``, or one is none of ours."""
    try:
        transforms = list(transforms)
    except TypeError:
        transforms = [transforms]
    wrong = [transform for transform in transforms if not isinstance(transform, Transform)]
    if wrong:
        raise ValueError(
            f"transforms is a list of transforms of dctnet; got {wrong[0]!r}. Pixel transforms act on pixels: see to_pixels."
        )
    if len(transforms) < least:
        raise ValueError(f"transforms is a list of {least} transform of dctnet at least; got {transforms}")
    return transforms


class RandomApply(Policy):
    """All of ``transforms`` with probability ``p``, or none, as ``torchvision.transforms.v2.RandomApply``."""

    def __init__(self, transforms: Sequence[Transform], p: float = 0.5):
        self.transforms, self.p = check_transforms(transforms, least=1), finite("p", p, 0, 1)

    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        return self.transforms if torch.rand(1, generator=generator).item() < self.p else ()

    def ways(self) -> Sequence[Sequence[Transform]]:
        return [self.transforms, []]

    def __repr__(self) -> str:
        return f"RandomApply({self.transforms}, p={self.p})"


class RandomChoice(Policy):
    """One of ``transforms``, each with its share of the weights ``p`` (default: all alike)."""

    def __init__(self, transforms: Sequence[Transform], p: Sequence[float] | None = None):
        self.transforms = check_transforms(transforms, least=1)
        weights = (1.0,) * len(self.transforms)
        if p is not None:
            weights = several("p, with a weight for each transform,", p, (len(self.transforms),), 0)
        total = finite("the sum of the weights p", sum(weights), 0, open_low=True)
        self.p = [weight / total for weight in weights]

    def choose(self, size: tuple[int, int], generator: torch.Generator | None) -> Sequence[Transform]:
        number = torch.multinomial(torch.tensor(self.p, dtype=torch.float64), 1, generator=generator).item()
        return (self.transforms[number],)

    def ways(self) -> Sequence[Sequence[Transform]]:
        return [[transform] for transform in self.transforms]

    def __repr__(self) -> str:
        return f"RandomChoice({self.transforms}, p={self.p})"
