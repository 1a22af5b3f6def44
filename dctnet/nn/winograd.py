"""Convolution with small filters in fewer multiplications: Winograd's F(m, r) on overlapping tiles.

The output is cut into tiles of m samples a side; each needs n = m + r - 1 samples of the input, so the tiles of the input
overlap by r - 1. With the matrices of ``cook_toom`` (two axes; of one leave out what stands on the right)

    U = G w G'        V = B' x B        M_p = V_p U_p        y = A' M A

V_p are the numbers of all tiles and channels at the point p, (tiles, c), and U_p is (c, o): n^2 products of matrices, each
for m^2 outputs. These take n^2 / m^2 multiplications an output where the direct form takes r^2: 4 for 9 with F(2x2, 3x3), 2.25
for 9 with F(4x4, 3x3). The transforms are products with matrices of n rows, one axis after the other.

What a larger tile saves it pays for in accuracy: the numbers of A, B and G grow with n, and the rounding errors with them
(``winograd_error`` measures this). Source: A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

For the backward pass the input and the filter are saved, nothing of what was made of them. The gradient of the input is a
convolution with the turned filter, done the same way; that of the filter is G' (sum over tiles of V_p' (A dy A')_p) G.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dctnet.arguments import whole
from dctnet.kernels.tensors import is_watched
from dctnet.nn.block_spectrum import constant
from dctnet.nn.convolution_geometry import Sizes, geometry
from dctnet.nn.convolution_operands import as_autocast, check_operands, check_real
from dctnet.nn.cook_toom import cook_toom
from dctnet.precision import full_precision

MOST_TAPS, MOST_TILE = 7, 8
# Numbers of V that are made at a time, where a picture has fewer: what a processor's caches hold, and what bounds the memory of
# other devices.
CHUNK, OTHER_CHUNK = 1 << 19, 1 << 26
Zeros = Sequence[tuple[int, int]]


def winograd_convolution(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    tile: int = 4,
) -> Tensor:
    """``torch.nn.functional.conv1d`` or ``conv2d``, which has to be of stride 1 and dilation 1, by F(tile, taps) on each axis.

    ``x`` is (n, c, *sides) or (c, *sides), ``w`` (o, c / groups, *taps) with 1 to 7 taps an axis, ``tile`` 1 to 8 outputs. A
    larger tile takes fewer multiplications and rounds worse. bfloat16 and float16, autocast's too, are computed in float32 and
    rounded once. Gradients of any order. ValueError for another stride or dilation and for what does not fit.

    >>> x, w = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    >>> winograd_convolution(x, w, padding=1, tile=2)[0, 0]
    tensor([[4., 6., 6., 4.],
            [6., 9., 9., 6.],
            [6., 9., 9., 6.],
            [4., 6., 6., 4.]])
    """
    check_operands(x, w, bias)
    check_real(x)
    if x.dim() < w.dim():
        return winograd_convolution(x[None], w, bias, stride, padding, dilation, groups, tile)[0]
    sides = geometry(x.shape, w.shape, stride, padding, dilation, groups)
    check_fits(*([getattr(side, name) for side in sides] for name in ("taps", "stride", "dilation")))
    tile = whole("tile", tile, 1, MOST_TILE)
    x, w, bias = as_autocast(x, w, bias)
    return _Winograd.apply(x, w, bias, [(side.before, side.after) for side in sides], groups, tile)


def check_fits(kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> None:
    """ValueError for a convolution that F(m, r) does not do."""
    if max(kernel) > MOST_TAPS:
        raise ValueError(
            f"Winograd's form is for 1 to {MOST_TAPS} taps an axis, as it rounds too badly beyond; got {tuple(kernel)}"
        )
    for name, values in (("stride", stride), ("dilation", dilation)):
        if max(values) > 1:
            raise ValueError(
                f"Winograd's form is for {name} 1; got {name}={tuple(values)}: take torch.nn.Conv{len(kernel)}d there"
            )


def winograd_error(
    tile: int, kernel: int, dtype: torch.dtype = torch.float32, channels: int = 64, seed: int = 0
) -> float:
    """The largest error of the two-dimensional convolution of normal numbers in ``dtype``, over the largest true output.

    The truth is torch's convolution of the same numbers in float64. ``channels`` are summed; the filter has ``kernel`` taps a
    side. By and large the error grows with the tile and with the kernel.

    >>> winograd_error(2, 3) < winograd_error(4, 3) < winograd_error(8, 3)
    True
    """
    generator = torch.Generator().manual_seed(seed)
    x, w = (
        torch.randn(*shape, generator=generator).to(dtype)
        for shape in ((1, channels, 48, 48), (8, channels, kernel, kernel))
    )
    true = F.conv2d(x.double(), w.double())
    return float((winograd_convolution(x, w, tile=tile).double() - true).abs().max() / true.abs().max())


class _Winograd(torch.autograd.Function):
    """``(n, c, *sides)`` and ``(o, c / groups, *kernel)`` to ``(n, o, *outputs)``."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, bias: Tensor | None, zeros: Zeros, groups: int, tile: int) -> Tensor:
        plan = _Plan(x, w, zeros, groups, tile)
        last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
        memory = torch.channels_last if last else torch.contiguous_format
        with full_precision(x.device):
            points = plan.filter_points(w)
            if plan.chunk >= x.shape[0]:
                y = plan.maps(_products(plan.input_points(x), points), bias)
                return y.to(x.dtype).contiguous(memory_format=memory)
            y = torch.empty((x.shape[0], len(w), *plan.outputs), dtype=x.dtype, device=x.device, memory_format=memory)
            for part, out in zip(x.split(plan.chunk), y.split(plan.chunk), strict=True):
                out.copy_(plan.maps(_products(plan.input_points(part), points), bias))
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, *ctx.options = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, w), (zeros, groups, tile) = ctx.saved_tensors, ctx.options
        of_x = of_w = of_bias = None
        if ctx.needs_input_grad[0]:
            turned = w.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(tuple(range(2, w.dim())))
            around = [(r - 1 - a, r - 1 - b) for r, (a, b) in zip(w.shape[2:], zeros, strict=True)]
            of_x = _Winograd.apply(gradient, turned, None, around, groups, tile)
        if ctx.needs_input_grad[1]:
            plan = _Plan(x, w, zeros, groups, tile)
            with full_precision(x.device):
                of_w = plan.filter_gradient(x, gradient).to(w.dtype)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, *range(2, gradient.dim())))
        return of_x, of_w, of_bias, None, None, None


class _Plan:
    """Sizes and matrices of one convolution, and its steps. Points and tiles lie in the order (*points, n, *tiles, channels)."""

    def __init__(self, x: Tensor, w: Tensor, zeros: Zeros, groups: int, tile: int):
        self.kernel, self.groups, self.axes = tuple(w.shape[2:]), groups, w.dim() - 2
        self.kind = torch.promote_types(x.dtype, torch.float32)
        self.sides = [tile if taps > 1 else 1 for taps in self.kernel]  # F(m, 1) would round for nothing
        padded = [side + sum(pair) for side, pair in zip(x.shape[2:], zeros, strict=True)]
        self.outputs = [side - taps + 1 for side, taps in zip(padded, self.kernel, strict=True)]
        self.tiles = [-(-outputs // m) for outputs, m in zip(self.outputs, self.sides, strict=True)]
        self.ragged = [t * m - outputs for t, m, outputs in zip(self.tiles, self.sides, self.outputs, strict=True)]
        self.zeros = [(a, b + more) for (a, b), more in zip(zeros, self.ragged, strict=True)]
        points = math.prod([m + taps - 1 for m, taps in zip(self.sides, self.kernel, strict=True)])
        picture = points * math.prod(self.tiles) * max(x.shape[1], w.shape[0])
        self.chunk = max(1, (CHUNK if x.device.type == "cpu" else OTHER_CHUNK) // picture)
        if is_watched():  # a compiler plans the memory itself
            self.chunk = x.shape[0]

    def matrices(self, which: str, like: Tensor) -> list[Tensor]:
        """A', G or B' of each axis."""
        each = zip(self.sides, self.kernel, strict=True)
        return [constant(_matrix, which, m, taps, like=like) for m, taps in each]

    def filter_points(self, w: Tensor) -> Tensor:
        """U, ``(points, groups, c / groups, o / groups)``."""
        taps_first = w.to(self.kind).unflatten(0, (self.groups, -1)).movedim((1, 2), (-1, -2)).movedim(0, -3)
        return _on_axes(self.matrices("filter", taps_first), taps_first).flatten(0, self.axes - 1)

    def input_points(self, x: Tensor) -> Tensor:
        """V, ``(points, groups, n * tiles, c / groups)``."""
        x = _padded(x.to(self.kind).movedim(1, -1), self.zeros)
        for m, matrix in zip(self.sides[::-1], self.matrices("input", x)[::-1], strict=True):
            tiles = x.unfold(self.axes, len(matrix), m).movedim(-1, 0)
            x = (matrix @ tiles.flatten(1)).unflatten(1, tiles.shape[1:])
        return self._in_groups(x)

    def maps(self, products: Tensor, bias: Tensor | None) -> Tensor:
        """A' M A and the bias, ``(n, o, *outputs)``, channels last, of M ``(points, groups, n * tiles, o / groups)``."""
        matrices = self.matrices("output", products)
        products = products.transpose(1, 2).flatten(2).unflatten(1, (-1, *self.tiles))
        y = _on_axes(matrices, products.unflatten(0, [matrix.shape[1] for matrix in matrices]))
        if bias is not None:
            y += bias
        y = y.permute(self.axes, *(a + b for a in range(self.axes) for b in (self.axes + 1, 0)), -1)
        for axis in range(self.axes):
            y = y.flatten(axis + 1, axis + 2).narrow(axis + 1, 0, self.outputs[axis])
        return y.movedim(-1, 1)

    def filter_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        """G' (sum over tiles of V_p' (A dy A')_p) G, ``(o, c / groups, *kernel)``."""
        total = None
        for part, of_y in zip(x.split(self.chunk), gradient.split(self.chunk), strict=True):
            tiles = _padded(of_y.to(self.kind).movedim(1, -1), [(0, more) for more in self.ragged])
            for axis in reversed(range(self.axes)):
                tiles = tiles.unflatten(axis + 1, (self.tiles[axis], self.sides[axis]))
            tiles = tiles.movedim([2 * axis + 2 for axis in range(self.axes)], list(range(self.axes)))
            of_products = self._in_groups(_on_axes([matrix.T for matrix in self.matrices("output", tiles)], tiles))
            product = _products(self.input_points(part).transpose(-1, -2), of_products)
            total = product if total is None else total + product
        back = [matrix.T for matrix in self.matrices("filter", total)]
        taps = _on_axes(back, total.unflatten(0, [matrix.shape[1] for matrix in back]))
        return taps.movedim((-3, -1, -2), (0, 1, 2)).flatten(0, 1)

    def _in_groups(self, x: Tensor) -> Tensor:
        """``(*points, n, *tiles, channels)`` to ``(points, groups, n * tiles, channels / groups)``."""
        x = x.flatten(self.axes, -2).flatten(0, self.axes - 1)
        return x.unflatten(-1, (self.groups, x.shape[-1] // self.groups)).transpose(1, 2)


def _matrix(which: str, m: int, r: int) -> Tensor:
    return torch.tensor(_numbers(which, m, r), dtype=torch.float64)


@torch.compiler.assume_constant_result  # torch.compile does not follow fractions
def _numbers(which: str, m: int, r: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in getattr(cook_toom(m, r), which))


def _padded(x: Tensor, zeros: list[tuple[int, int]]) -> Tensor:
    """Zeros around the axes between the first and the last; fewer than none cut off."""
    around = [number for pair in reversed(zeros) for number in pair]
    return F.pad(x, (0, 0, *around)) if any(around) else x


def _on_axes(matrices: list[Tensor], x: Tensor) -> Tensor:
    """One matrix on the first axis of ``x``, or one on each of the first two."""
    rest, x = x.shape[len(matrices) :], x.flatten(len(matrices))
    x = (matrices[0] @ x.flatten(1)).unflatten(1, x.shape[1:])
    if len(matrices) == 2:
        x = torch.bmm(matrices[1].expand(len(x), -1, -1), x)
    return x.unflatten(-1, rest)


def _products(left: Tensor, right: Tensor) -> Tensor:
    """``(points, groups, i, j)`` times ``(points, groups, j, k)``."""
    return torch.bmm(left[:, 0], right[:, 0])[:, None] if left.shape[1] == 1 else left @ right
