"""Channels on the block DCT of each colour of a picture: bands dropped, or noise on some of them.

Pictures are filled up to whole blocks by repeating the last row and column, and cut again. What is done to bands is linear
and the same for all colours, so it is the same on R, G and B as on Y, Cb and Cr.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dctnet.arguments import choice
from dctnet.bands import CHANNELS, bands_of
from dctnet.coefficients import BLOCK_SIZES, zigzag_order
from dctnet.dct import block_dct, block_idct
from dctnet.jpeg.encoder_samples import whole_blocks
from dctnet.robustness.channel import Channel, whole_strength
from dctnet.robustness.noise_channels import Noise, drawn
from dctnet.transforms.noise import fill_normal


class BandDropping(Channel):
    """The last ``strength`` bands in zigzag order, the highest frequencies, of each block of b x b samples become zero.

    b is ``block_size``, and ``strength`` a whole number from 0 to b * b - 1: DC stays. At 63 of blocks of 8 a block is its
    mean. The same for all blocks, whatever they hold; what a JPEG file of a quality drops depends on the picture
    (``JPEGCompression``).

    >>> corner = torch.zeros(1, 1, 8, 8)
    >>> corner[..., 0, 0] = 1.0
    >>> BandDropping(63)(corner).unique()                    # a 64th
    tensor([0.0156])
    """

    differentiable = True
    lossless = 0.0

    def __init__(self, strength: float = 32, block_size: int = 8):
        choice("block_size", block_size, BLOCK_SIZES)
        super().__init__(whole_strength("the number of dropped bands", strength, 0, block_size**2 - 1))
        self.block_size = block_size

    def change(self, pixels: Tensor) -> Tensor:
        b = self.block_size
        order = zigzag_order(b)
        keeps = pixels.new_zeros(b * b, 1, 1)
        keeps[order[: len(order) - int(self.strength)]] = 1
        plane = block_dct(whole_blocks(pixels, b), b)
        return block_idct(plane * keeps)[..., : pixels.shape[-2], : pixels.shape[-1]]

    def extra_repr(self) -> str:
        return f"dropped={self.strength:g}, block_size={self.block_size}"


class DCTNoise(Noise):
    """Normal noise of deviation ``strength`` on the coefficients of the orthonormal DCT of each colour's 8x8 blocks.

    On all coefficients it is that on the pixels (``GaussianChannel``), of the same expected L2 by Parseval's identity. On
    chosen ``bands`` it is coloured: a shape such as "zigzag-16", "square-4" or "triangle-4", or a list of channels
    8 v + u (``dctnet.bands``). Its expected squared L2 before clamping is then strength^2 times the number of coefficients
    that have some.

    >>> channel = DCTNoise(0.1, [0], torch.Generator().manual_seed(0))                # another brightness for each block
    >>> channel(torch.full((1, 1, 8, 16), 0.5)).unique().numel()
    2
    """

    def __init__(
        self,
        strength: float = 0.03,
        bands: str | Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__(strength, generator)
        self.bands = bands_of(None if bands is None else [bands] * 3).y

    def noise(self, pixels: Tensor) -> Tensor:
        count, colours, height, width = pixels.shape
        blocks = -(-height // 8), -(-width // 8)
        field = drawn((count, colours, CHANNELS, *blocks), pixels, self.generator, fill_normal)
        if len(self.bands) < CHANNELS:
            has = pixels.new_zeros(CHANNELS, 1, 1)
            has[list(self.bands)] = 1
            field = field * has
        return block_idct(field)[..., :height, :width]
