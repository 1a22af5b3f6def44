"""Feature maps as spectra of blocks, cut off above some frequency: what the layers that compress are made of.

A map of H x W samples is cut into blocks of bv x bh; each becomes its orthonormal DCT-II (``dct.cosines``), of which the first
bands are kept. The order of bands is that of

    v / bv + u / bh,    v, u the vertical and horizontal frequency; of equals the smaller v / bv goes first

which in square blocks is the order by diagonals. A side that is no multiple of its block is filled by repeating the last
sample, so a constant map stays constant. With all bands of whole blocks the transform is orthogonal: energy is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dctnet.dct import cosines
from dctnet.kernels.tensors import is_watched
from dctnet.precision import full_precision

Block = tuple[int, int]


def constant(make: Callable[..., Tensor], *arguments: object, like: Tensor) -> Tensor:
    """The float64 matrix ``make(*arguments)`` in the dtype and on the device of ``like``; made once, unless torch is watching."""
    if is_watched():
        return make(*arguments).to(like.device, like.dtype)
    return _kept(make, arguments, like.dtype, str(like.device))


@lru_cache(maxsize=256)
def _kept(make: Callable[..., Tensor], arguments: tuple[Any, ...], dtype: torch.dtype, device: str) -> Tensor:
    with torch.inference_mode(False):  # else what is kept could never take part in training
        return make(*arguments).to(device, dtype)


def check_maps(maps: Tensor) -> None:
    """ValueError for what are no floating maps."""
    if maps.ndim not in (3, 4) or not maps.is_floating_point():
        raise ValueError(
            f"this works on floating maps (n, c, H, W) or (c, H, W); got {maps.dtype} {tuple(maps.shape)}. Cast integers with "
            "maps.float()."
        )


def band_order(block: Block) -> tuple[int, ...]:
    """Row-major channels ``bh*v + u`` of a block, from low to high in the order at the top of this file.

    >>> band_order((8, 8))[:6]
    (0, 1, 8, 2, 9, 16)
    """
    rows, columns = block
    # Compared as whole numbers: bv * bh times the order.
    return tuple(
        sorted(
            range(rows * columns),
            key=lambda k: (k // columns * columns + k % columns * rows, k // columns),
        )
    )


def low_bands(block: Block, count: int) -> Tensor:
    """The first ``count`` bands as pictures: rows of T_bv (x) T_bh in their order, ``(count, bv*bh)``, float64."""
    both = torch.kron(cosines(block[0]), cosines(block[1]))
    return both[list(band_order(block)[:count])]


def bands_kept(block: Block, keep: float) -> int:
    """How many bands are the share ``keep`` of a block: rounded, one at least."""
    return max(1, round(keep * block[0] * block[1]))


def to_spectra(maps: Tensor, block: Block, count: int) -> Tensor:
    """Maps ``(n, c, H, W)`` to the first ``count`` bands of their blocks, ``(n, c, rows, columns, count)``.

    rows = ceil(H / bv), columns = ceil(W / bh). Computed in the dtype of the maps.
    """
    rows, columns = block
    below, right = -maps.shape[-2] % rows, -maps.shape[-1] % columns
    if below or right:
        maps = F.pad(maps, (0, right, 0, below), mode="replicate")
    blocks = maps.unflatten(-1, (-1, columns)).unflatten(-3, (-1, rows)).transpose(-3, -2).flatten(-2)
    with full_precision(maps.device):
        return F.linear(blocks, constant(low_bands, block, count, like=maps))


def to_maps(spectra: Tensor, block: Block, size: tuple[int, int]) -> Tensor:
    """Maps ``(n, c, *size)`` of the bands ``(n, c, rows, columns, count)``; those that are missing count as zero."""
    with full_precision(spectra.device):
        blocks = spectra @ constant(low_bands, block, spectra.shape[-1], like=spectra)
    maps = blocks.unflatten(-1, block).transpose(-3, -2).flatten(-2).flatten(-3, -2)
    return maps[..., : size[0], : size[1]]


def fitting_block(size: tuple[int, int], block: int) -> Block:
    """For each side a block of at most ``block`` samples, more than half of it, that fills least; the largest of equals.

    A side shorter than ``block`` is one block.

    >>> fitting_block((56, 28), 8), fitting_block((7, 13), 8)
    ((8, 7), (7, 7))
    """
    rows, columns = (
        side if side <= block else min(range(block, block // 2, -1), key=lambda b: -(-side // b) * b) for side in size
    )
    return rows, columns
