"""The kind of transform that changes values and leaves every sample in its place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

import torch
from torch import Tensor

from dctnet.coefficients import Coefficients, block_size, check_all_bands


class Photometric(ABC):
    """A transform of values, its parameters drawn apart from their use, so that one call serves a whole batch.

    ``draw`` gives the parameters of one picture as numbers; ``apply`` uses those of one picture ``(C, H/b, W/b)`` or of a
    batch ``(n, C, H/b, W/b)`` on whatever device the planes are. ``in_gray_levels`` says that the values have to be gray
    levels with all their bands: such a transform stands before ``Normalize`` and ``SelectBands``. ``any_blocks`` says that the
    samples behind the result do not depend on the block size, ``on_samples`` that it works on those of luma and of chroma, so
    that blocks of one sample suit it best.
    """

    in_gray_levels = True
    any_blocks = False
    on_samples = False, False

    @property
    def kind(self) -> Hashable:
        """Equal for transforms whose ``apply`` is the same, so that pictures of which each has its own go in one call."""
        return id(self)

    def draw(self, size: tuple[int, int], generator: torch.Generator | None) -> tuple[float, ...]:
        """The k parameters for a picture of ``size`` (height, width), from ``generator`` (None: torch's own)."""
        return ()

    @abstractmethod
    def apply(self, coefficients: Coefficients, parameters: Tensor, size: tuple[int, int]) -> Coefficients:
        """The planes changed by ``parameters`` ``(..., k)`` float64, its leading axes those of the planes."""

    def __call__(
        self,
        coefficients: Coefficients,
        generator: torch.Generator | None = None,
        size: tuple[int, int] | None = None,
    ) -> Coefficients:
        """Draw and apply to one picture of ``size`` (default: whole blocks), or one draw to a batch. Floats in, floats out.

        ValueError for ``SelectedBands`` where all bands are needed; bare tensors do not tell what they are.
        """
        if self.in_gray_levels:
            check_all_bands(coefficients)
        size = whole_size(coefficients) if size is None and self.in_gray_levels else size or (0, 0)
        return self.apply(coefficients, torch.tensor(self.draw(size, generator), dtype=torch.float64), size)


def whole_size(coefficients: Coefficients) -> tuple[int, int]:
    """The (height, width) of a picture that fills all its luma blocks."""
    b = block_size(coefficients.y)
    return coefficients.y.shape[-2] * b, coefficients.y.shape[-1] * b
