"""Feature squeezing by fewer levels of colour."""

from __future__ import annotations

import math

from torch import Tensor

from dctnet.robustness.channel import Channel, whole_strength


class DepthReduction(Channel):
    """Colour depth of ``strength`` bits, 1 to 16: each sample becomes the nearest of 2**bits levels from 0 to 1.

    p -> round((2**bits - 1) p) / (2**bits - 1). Eight bits are lossless for pictures of 8 bits only, and an attacked picture
    lies between its levels, so the lossless strength is infinity. The gradient is zero; ``backward`` has others for it.

    Source: W. Xu, D. Evans and Y. Qi, "Feature squeezing: detecting adversarial examples in deep neural networks", NDSS 2018.

    >>> import torch
    >>> DepthReduction(2)(torch.tensor([0.1, 0.3, 0.8]).view(1, 1, 1, 3)).flatten()
    tensor([0.0000, 0.3333, 0.6667])
    """

    differentiable = False
    lossless = math.inf

    def __init__(self, strength: float = 4):
        super().__init__(
            strength if strength == math.inf else whole_strength("the colour depth in bits", strength, 1, 16)
        )

    @property
    def greatest(self) -> float:
        """The number of the highest level, which stands for 1."""
        return 2**self.strength - 1

    def change(self, pixels: Tensor) -> Tensor:
        return (self.greatest * pixels).round() / self.greatest

    def extra_repr(self) -> str:
        return f"bits={self.strength:g}"
