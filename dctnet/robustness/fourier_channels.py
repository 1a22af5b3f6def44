"""Channels on the Fourier spectrum of each colour of a picture: frequencies dropped, or noise on some of them."""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.arguments import choice, finite, flag
from dctnet.nn.spectrum_masks import ALMOST_ONE, MASKS, dropped_fraction, spectrum_mask
from dctnet.robustness.channel import Channel
from dctnet.robustness.noise_channels import Noise, drawn
from dctnet.transforms.noise import fill_normal


class FFTCompression(Channel):
    """FFT compression: the share ``strength``, of [0, 1), of each colour's spectrum is dropped, the highest frequencies.

    p -> IDFT[M DFT[p]], M one or zero: the ``mask`` of ``nn.spectrum_masks``, "square" (of each quarter an L is dropped),
    "radial", "hyperbolic" or "triangle". Frequencies of one order stay together, so the share is the nearest that there is;
    ``dropped`` tells it. The mean is always kept. The DFT is of the picture as it is, so opposite borders are neighbours.

    >>> waves = torch.arange(8.0).remainder(2).repeat(8, 1)[None, None]           # columns 0, 1, 0, 1, ...
    >>> FFTCompression(0.5)(waves).unique(), FFTCompression(0.5).dropped((8, 8))
    (tensor([0.5000]), 0.609375)
    """

    differentiable = True
    lossless = 0.0

    def __init__(self, strength: float = 0.5, mask: str = "square"):
        super().__init__(finite("the share of the spectrum that is dropped", strength, 0, ALMOST_ONE))
        self.mask = choice("mask", mask, MASKS)

    def dropped(self, size: tuple[int, int]) -> float:
        """The share of the coefficients of a picture of ``size`` (height, width) that is dropped."""
        return dropped_fraction(spectrum_mask(size, self.strength, self.mask), size)

    def change(self, pixels: Tensor) -> Tensor:
        return masked(pixels, spectrum_mask(pixels.shape[-2:], self.strength, self.mask))

    def extra_repr(self) -> str:
        return f"dropped={self.strength:g}, mask={self.mask!r}"


class FFTNoise(Noise):
    """Normal noise of deviation ``strength`` on the coefficients of each colour's DFT in the orthonormal scale.

    The picture stays real: F of (v, u) and of (-v, -u) are conjugate, and E |noise|^2 = strength^2 for each. Such noise on
    all coefficients is that on the pixels (``GaussianChannel``), of the same expected L2 by Parseval's identity. On a part of
    them it is coloured: the share ``compression`` of the spectrum, the high frequencies of the ``mask``, has none, or the low
    ones where ``inverse``. Its expected squared L2 before clamping is strength^2 times the number of coefficients that have
    some.

    >>> noise = FFTNoise(0.1, compression=0.9, generator=torch.Generator().manual_seed(0))
    >>> changed = noise(torch.full((1, 1, 64, 64), 0.5)) - 0.5
    >>> changed.std().item() < 0.1 * 0.4                                   # the root of a tenth is 0.32
    True
    """

    def __init__(
        self,
        strength: float = 0.03,
        compression: float = 0.0,
        mask: str = "radial",
        inverse: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__(strength, generator)
        self.compression = finite("compression", compression, 0, ALMOST_ONE)
        self.mask, self.inverse = choice("mask", mask, MASKS), flag("inverse", inverse)

    def noise(self, pixels: Tensor) -> Tensor:
        field = drawn(pixels.shape, pixels, self.generator, fill_normal)
        if self.compression == 0:
            return field
        return masked(field, spectrum_mask(pixels.shape[-2:], self.compression, self.mask, self.inverse))


def masked(pixels: Tensor, mask: Tensor) -> Tensor:
    """What is left of ``(..., h, w)`` of the frequencies that ``mask``, of the half spectrum, keeps."""
    return torch.fft.irfft2(torch.fft.rfft2(pixels) * mask.to(pixels.device), s=pixels.shape[-2:])
