"""The first convolution of an RGB network and all that makes its pixels, as one block convolution for each plane.

A convolution K of stride s reads pixels, and a pixel is a linear function of the coefficients of one block of each plane,
so its output is one of the coefficients, too. Let a block cover B pixels along an axis (its b samples, or 2b where chroma is
doubled) and L = max(B, s), of which one must divide the other. In each period of L pixels there are P = L / s outputs, and
output f of period i weighs, with T the b-point DCT, the basis of blocks by the taps that fall into them:

    out[i P + f] = sum_a K[a] x[i L + s f + a - p] = sum_m W[f, m] X[i L / B + m]
    W[f, m, k]   = sum of K[a] T[k, (x mod B) / spacing] over the taps a whose pixel x = s f + a - p lies in block m

on each axis. So K becomes a convolution of stride L / B with P * P * channels outputs, which PixelUnshuffle's inverse
spreads over the grid. It reads one block more on each side where K reaches over.

Borders are exact. A convolution pads the normalised pixels with zeros. The offset of the normalisation is a colour, so it is
added to the DC of the planes, and then a block of zeros is a block of padding. Chroma that reaches over the end of the
luma plane is cut. The triangle filter repeats the edge of chroma, which no padding with zeros does: so "fancy" chroma
is brought to the grid and the blocks of luma first (inverse DCT, triangles, DCT), and the block convolution follows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.bands import Bands, BandSet, bands_of
from dctnet.coefficients import Coefficients
from dctnet.dct import basis, block_dct
from dctnet.nn.pixel_frontend import PixelFrontend, chroma_factors, samples_of, spread_chroma
from dctnet.nn.planes import check_planes
from dctnet.precision import full_precision


class Taps(NamedTuple):
    """One axis: ``table`` (P, taps, blocks, b) is T at the pixel of each tap; ``before`` of the blocks lie before the period."""

    table: Tensor
    before: int
    period: int

    @property
    def phases(self) -> int:
        """Outputs of a period."""
        return self.table.shape[0]

    @property
    def blocks(self) -> int:
        """Blocks that are read for a period."""
        return self.table.shape[2]


def taps(kernel: int, stride: int, padding: int, dilation: int, b: int, spacing: int) -> Taps:
    """The table of the formula above for one axis, float64. ValueError where neither of B and s divides the other.

    >>> taps(4, 4, 0, 1, b=8, spacing=1).table.shape                     # a patch lies in one block
    torch.Size([2, 4, 1, 8])
    >>> taps(7, 2, 3, 1, b=8, spacing=1).table.shape                     # three pixels to either side: three blocks
    torch.Size([4, 7, 3, 8])
    """
    B = b * spacing
    if B % stride and stride % B:
        raise ValueError(
            f"a block of {B} pixels and a stride of {stride} fit where one divides the other; choose another block size"
        )
    L = max(B, stride)
    before = -(-padding // B)
    last = L - stride + (kernel - 1) * dilation - padding
    table = torch.zeros(L // stride, kernel, before + last // B + 1, b, dtype=torch.float64)
    T = basis(b)
    for phase in range(L // stride):
        for tap in range(kernel):
            block, sample = divmod(stride * phase + dilation * tap - padding + before * B, B)
            table[phase, tap, block] = T[:, sample // spacing]
    return Taps(table, before, L // B)


class FoldedStem(nn.Module):
    """``conv(frontend(coefficients))`` as ``shuffle(luma(y)) + shuffle(chroma(cb, cr)) + bias``, without clamping.

    ``luma`` and ``chroma`` are convolutions on blocks with trainable weights that start as those of ``conv``: 3 input channels,
    one group, zero padding. With ``chroma_upsampling="nearest"`` of the frontend it reads 4:2:0 planes; with "fancy" also those
    of chroma at full resolution along one axis or both, and then ``chroma`` stands on the grid of luma. ``bands`` are those that
    ``SelectBands`` leaves: the weights of the others are dropped, so their part of each picture is missing; they need
    blocks of 8, "nearest", and the DC of each plane. The arithmetic is done in the dtype of the weights, whatever autocast
    says. ValueError for what cannot be folded, and for planes that do not fit.

    >>> conv = nn.Conv2d(3, 8, 4, stride=4)
    >>> stem = FoldedStem(conv, PixelFrontend(8, chroma_upsampling="nearest"))
    >>> stem.luma.weight.shape, stem.chroma.weight.shape                   # 2 x 2 and 4 x 4 outputs a block
    (torch.Size([32, 64, 1, 1]), torch.Size([128, 128, 1, 1]))
    """

    def __init__(self, conv: nn.Conv2d, frontend: PixelFrontend, bands: BandSet = None):
        super().__init__()
        _check(conv, frontend)
        self.block_size = luma, chroma = frontend.block_size
        self.chroma_upsampling = frontend.chroma_upsampling
        self.bands = None if bands is None else _checked_bands(bands, frontend)
        self.kernel_size, self.dilation, self.stride = conv.kernel_size, conv.dilation, conv.stride[0]
        self.padding = _padding(conv)
        # Block size and spacing of what each convolution reads, and its tables.
        shapes = ((luma, 1), (luma, 1) if self.chroma_upsampling == "fancy" else (chroma, 2))
        self.axes = [[self._taps(axis, *shape) for axis in (0, 1)] for shape in shapes]

        matrix = frontend.matrix[:, :, 0, 0].double().cpu()
        kernels = torch.einsum("ochw,cp->pohw", conv.weight.detach().double().cpu(), matrix)
        planes = [_folded(kernel, *self.axes[min(i, 1)]) for i, kernel in enumerate(kernels)]
        if self.bands is not None:
            planes = [plane[:, list(kept)] for plane, kept in zip(planes, self.bands, strict=True)]
        to = {"dtype": conv.weight.dtype, "device": conv.weight.device}
        self.luma = _convolution(planes[0].to(**to), self.axes[0][0].period)
        self.chroma = _convolution(torch.cat(planes[1:], 1).to(**to), self.axes[1][0].period)
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().clone())

        # The offset of the normalisation as a colour of the planes: what is added to the DC of their blocks.
        level = torch.linalg.solve(matrix, frontend.offset.double().cpu())
        widths = [b * b for b in (luma, chroma, chroma)] if self.bands is None else [len(kept) for kept in self.bands]
        levels = [F.pad(b * v[None], (0, n - 1)) for b, v, n in zip((luma, chroma, chroma), level, widths, strict=True)]
        idct = torch.kron(basis(chroma), basis(chroma)).T
        self.register_buffer("luma_level", levels[0][:, None, None].to(**to), persistent=False)
        self.register_buffer("chroma_level", torch.cat(levels[1:])[:, None, None].to(**to), persistent=False)
        self.register_buffer("chroma_idct", idct[:, :, None, None].to(**to), persistent=False)

    def extra_repr(self) -> str:
        return f"block_size={self.block_size}, stride={self.stride}, chroma_upsampling={self.chroma_upsampling!r}"

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size, self.bands)
        y, cb, cr = (plane.to(self.luma.weight.dtype) for plane in coefficients)
        with full_precision(y.device):
            size = (y.shape[-2] * self.block_size[0], y.shape[-1] * self.block_size[0])
            chroma = torch.cat([cb, cr], 1) + self.chroma_level
            chroma = self._doubled(chroma, size) if self.chroma_upsampling == "fancy" else self._cut(chroma, size)
            out = self._outputs(self.luma, y + self.luma_level, self.axes[0], size)
            out = out + self._outputs(self.chroma, chroma, self.axes[1], size)
            return out if self.bias is None else out + self.bias[:, None, None]

    def _taps(self, axis: int, b: int, spacing: int) -> Taps:
        return taps(self.kernel_size[axis], self.stride, self.padding[axis][0], self.dilation[axis], b, spacing)

    def _outputs(self, conv: nn.Conv2d, blocks: Tensor, axes: list[Taps], size: tuple[int, int]) -> Tensor:
        """One plane's part of the outputs: zero blocks around it, the convolution, its phases spread, the rest cut off."""
        counts, around = [], []
        for axis, (table, length) in enumerate(zip(axes, size, strict=True)):
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
            count = (length + sum(self.padding[axis]) - reach) // self.stride + 1
            if count < 1:
                raise ValueError(
                    f"a kernel of {self.kernel_size} does not fit into a picture of {size[0]} x {size[1]} pixels"
                )
            read = (-(-count // table.phases) - 1) * table.period + table.blocks
            counts.append(count)
            around = [table.before, read - table.before - blocks.shape[axis - 2], *around]
        out = F.pixel_shuffle(conv(F.pad(blocks, around)), axes[0].phases)
        return out[..., : counts[0], : counts[1]]

    def _samples(self, chroma: Tensor) -> Tensor:
        b = self.block_size[1]
        return torch.cat([samples_of(plane, self.chroma_idct, b) for plane in chroma.chunk(2, 1)], 1)

    def _blocks(self, samples: Tensor, b: int) -> Tensor:
        return block_dct(samples, b).flatten(1, 2)

    def _doubled(self, chroma: Tensor, size: tuple[int, int]) -> Tensor:
        """Chroma in blocks of luma's size on luma's grid."""
        luma, b = self.block_size
        sampled = [blocks * b for blocks in chroma.shape[-2:]]
        if b == luma and chroma_factors(sampled, size, self.block_size) == (1, 1):
            return chroma
        return self._blocks(spread_chroma(self._samples(chroma), size, self.block_size, "fancy"), luma)

    def _cut(self, chroma: Tensor, size: tuple[int, int]) -> Tensor:
        """Chroma at half the resolution, without what reaches over the end of luma."""
        b = self.block_size[1]
        sampled = [blocks * b for blocks in chroma.shape[-2:]]
        if chroma_factors(sampled, size, self.block_size) != (2, 2) or size[0] % 2 or size[1] % 2:
            raise ValueError(
                f'a stem folded with chroma_upsampling="nearest" reads 4:2:0 planes, with an even number of luma samples a side; '
                f'got chroma {tuple(sampled)} for luma {tuple(size)}. Fold a PixelFrontend with chroma_upsampling="fancy", which '
                "reads every subsampling and is the same where chroma has full resolution, or transform the picture first."
            )
        half = [length // 2 for length in size]
        if sampled == half:
            return chroma
        if self.bands is not None:
            raise ValueError(
                f"selected bands of chroma of {tuple(sampled)} samples cannot be cut to {tuple(half)}; use pictures whose "
                f"sides are multiples of {2 * b}"
            )
        inside = self._samples(chroma)[..., : half[0], : half[1]]
        return self._blocks(F.pad(inside, (0, sampled[1] - half[1], 0, sampled[0] - half[0])), b)


def _folded(kernel: Tensor, vertical: Taps, horizontal: Taps) -> Tensor:
    """Weights ``(P P out, b b, rows, columns)`` of the block convolution, of the kernel ``(out, h, w)`` on a plane's samples."""
    weight = torch.einsum("ohw,fhmv->ofwmv", kernel, vertical.table)
    weight = torch.einsum("ofwmv,gwnu->ofgvumn", weight, horizontal.table)
    return weight.flatten(3, 4).flatten(0, 2)


def _convolution(weight: Tensor, stride: int) -> nn.Conv2d:
    """The convolution with this weight, without padding and bias."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], stride, bias=False, device="meta")
    conv.weight = nn.Parameter(weight)
    return conv


def _padding(conv: nn.Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows above and below, columns left and right that ``conv`` pads."""
    if conv.padding == "same":
        total = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
        return tuple((n // 2, n - n // 2) for n in total)
    if conv.padding == "valid":
        return (0, 0), (0, 0)
    return tuple((n, n) for n in conv.padding)


def _check(conv: nn.Conv2d, frontend: PixelFrontend) -> None:
    plain = type(conv) is nn.Conv2d and conv.groups == 1 and conv.padding_mode == "zeros"
    if not plain or conv.in_channels != 3 or conv.stride[0] != conv.stride[1]:
        raise ValueError(
            "what is folded is a torch.nn.Conv2d of 3 input channels, one group, one stride and zero padding; got "
            f"{type(conv).__name__}({conv.extra_repr()}). A subclass may pad in its own way: put an equal Conv2d in its place."
        )
    if frontend.reduce != 1:
        raise ValueError(
            f"a PixelFrontend with reduce=1 is folded; got {frontend.reduce}. Read the files with scale= instead."
        )


def _checked_bands(bands: BandSet, frontend: PixelFrontend) -> Bands:
    kept = bands_of(bands)
    if (
        frontend.block_size != (8, 8)
        or frontend.chroma_upsampling != "nearest"
        or any(0 not in plane for plane in kept)
    ):
        raise ValueError(
            'bands are folded in blocks of 8, with chroma_upsampling="nearest", and with the DC (channel 0) of each plane; got '
            f"block_size={frontend.block_size}, chroma_upsampling={frontend.chroma_upsampling!r}, lowest channels "
            f"{tuple(plane[0] for plane in kept)}"
        )
    return kept
