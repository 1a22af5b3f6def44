"""Transforms that are applied to a picture with a probability, and left out otherwise."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from dctnet.arguments import finite
from dctnet.coefficients import Coefficients
from dctnet.transforms.photometric import Photometric


class Chance(Photometric):
    """A change of values that happens with probability ``p``; one draw a picture, that of torchvision.

    Of a batch all pictures are changed and those that were not drawn are put back, unless none or all of them were.
    """

    def __init__(self, p: float):
        self.p = finite("p", p, 0, 1)
        self._threshold = torch.tensor(self.p).item()  # float32, as what is drawn

    @abstractmethod
    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        """The change itself, to every picture."""

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        return (float(torch.rand(1, generator=generator).item() < self._threshold),)

    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        drawn = parameters[..., 0] > 0
        if drawn.device.type == "cpu":
            if not bool(drawn.any()):
                return coefficients
            if bool(drawn.all()):
                return self.change(coefficients, size)
        drawn = drawn.to(coefficients.y.device)[..., None, None, None]
        changed = self.change(coefficients, size)
        return Coefficients(*(torch.where(drawn, new, old) for new, old in zip(changed, coefficients, strict=True)))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({settings})"
