"""Pooling by truncating the DCT: the low frequencies of a map, on a smaller grid.

With T_b the b-point orthonormal DCT-II, a side of b samples becomes m = b / s samples by

    r = sqrt(m / b) T_m' [I_m 0] T_b                    (m x b)

the scaled inverse DCT of the m lowest frequencies; the factor keeps the mean. ``DCTPool2d`` applies r to both axes of each
block, or to whole maps. Twice by 2 is once by 4: of whole maps always, of blocks where the second has half the block.

Two small products, along the columns and then along the rows, take the place of a strided depthwise convolution with r (x) r:
b * (1 + 1/s) / s multiply-adds a sample of the map, where that has b * b / s**2, and no pixel shuffle behind it. A layer that
pools each block to one sample is average pooling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import flag, several, whole
from dctnet.dct import cosines
from dctnet.nn.block_spectrum import check_maps, constant
from dctnet.precision import full_precision


def shrinking(n: int, m: int) -> Tensor:
    """r: n samples to m <= n by their m lowest frequencies, ``(m, n)``, float64.

    >>> shrinking(4, 1)
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]], dtype=torch.float64)
    """
    return (m / n) ** 0.5 * (cosines(m).T @ cosines(n)[:m])


class DCTPool2d(nn.Module):
    """Maps ``(n, c, H, W)`` to ``(n, c, ceil(H / sv), ceil(W / sh))``: of each block the low corner of its DCT.

    ``stride`` is s, or (sv, sh). ``block`` is the side b of the blocks, a multiple of both strides (ValueError otherwise),
    or None: then a map is one block. In a side that is no multiple of b the last sample is repeated up to one, and of the
    output what lies beyond ceil(side / s) is cut off; whole maps need no filling, as r takes any n and m.
    ``ceil_mode=False`` writes floor(side / s) samples, as torch's pooling does.

    Constants stay; maps with no frequencies but those that are kept lose nothing (``torch.nn.functional.interpolate`` has no
    such mode). The gradient is the adjoint, r' on both axes. Arithmetic is done in the dtype of the maps, whatever autocast
    says, and channels-last maps stay so.

    >>> DCTPool2d(2)(torch.full((1, 1, 4, 6), 5.0))[0, 0].round(decimals=4)
    tensor([[5., 5., 5.],
            [5., 5., 5.]])
    """

    def __init__(self, stride: int | tuple[int, int] = 2, block: int | None = 8, ceil_mode: bool = True):
        super().__init__()
        strides = several("stride", stride, (1, 2), 1, of_whole=True)
        self.stride = (strides[0], strides[-1])
        self.block = None if block is None else whole("block", block, 1)
        self.ceil_mode = flag("ceil_mode", ceil_mode)
        if self.block is not None and any(self.block % s for s in self.stride):
            raise ValueError(
                f"the block is a multiple of the strides, so that a part of its bands is a smaller block; got block={block} "
                f"for stride={stride!r}. Choose another block, or block=None for the DCT of whole maps."
            )

    def forward(self, maps: Tensor) -> Tensor:
        check_maps(maps)
        size = maps.shape[-2:]
        height, width = (
            -(-side // s) if self.ceil_mode else side // s for side, s in zip(size, self.stride, strict=True)
        )
        if not height or not width:
            raise ValueError(f"maps of {tuple(size)} leave nothing at stride {self.stride}; take a smaller stride")
        if self.block is None:
            vertical, horizontal = (size[0], height), (size[1], width)
        else:
            vertical, horizontal = ((self.block, self.block // s) for s in self.stride)
            below, right = (-side % self.block for side in size)
            if below or right:
                maps = F.pad(maps, (0, right, 0, below), mode="replicate")
        rows, columns = (constant(shrinking, *sizes, like=maps) for sizes in (vertical, horizontal))
        with full_precision(maps.device):
            if _channels_last(maps):
                pixels = maps.movedim(1, -1)
                shorter = _rows(rows, pixels.flatten(2)).unflatten(-1, pixels.shape[2:])
                pooled = _rows(columns, shorter).movedim(-1, 1)
            else:
                shorter = _rows(rows, maps)
                pooled = F.linear(shorter.unflatten(-1, (-1, columns.shape[1])), columns).flatten(-2)
        return pooled[..., :height, :width]

    def extra_repr(self) -> str:
        return f"stride={self.stride}, block={self.block}, ceil_mode={self.ceil_mode}"


def _rows(matrix: Tensor, maps: Tensor) -> Tensor:
    """The matrix on each run of as many rows as it has columns, of maps (..., H, W)."""
    return (matrix @ maps.unflatten(-2, (-1, matrix.shape[1]))).flatten(-3, -2)


def _channels_last(maps: Tensor) -> bool:
    return maps.ndim == 4 and maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()
