"""Convolution as a product of spectra of which only a part is computed, multiplied and stored.

A convolution of torch, y_o(t) = b_o + sum_i sum_j x_i(s t + d j - p) w_oi(j), is on a circle of N samples, which holds the
map and behind it as many zeros as the padding,

    y_o = b_o + IDFT[ sum_i  M X_i conj(W_oi) ],     X = DFT[x],  W = DFT[w],  M the mask, 1 or 0 (``spectrum_masks``)

The circle of a side of h samples padded by p before and q after has h + max(p, q) samples, rounded up to ``fast_size``: the
zeros behind the map are also those before it. The filter lies on the same circle, its taps d apart. The mask is of the N x M
frequencies of these circles.

A whole spectrum (M = 1) gives torch's convolution. Else x and w are both cut to the kept frequencies; y is band-limited. The
numbers of multiply-adds and of stored coefficients are in proportion to what is kept. Tiles of a map that is much larger than
the filter are convolved each by itself where that is cheaper (``overlap_save``), but only with a whole spectrum: the
frequencies of a band are always those of the whole map. Gradients are exact: those of the
formula, by the same transforms. What is saved for them are the kept coefficients of X and W, and neither x nor y; of filters
that are much smaller than their spectra w itself, which is there anyway, and W is computed again.

Source of the method: A. Dziedzic, J. Paparrizos, S. Krishnan, A. Elmore and M. Franklin, "Band-limited training and inference
for convolutional neural networks", ICML 2019; of ``output_size``: O. Rippel, J. Snoek and R. P. Adams, "Spectral
representations for convolutional neural networks", NeurIPS 2015.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from dctnet.arguments import finite, flag
from dctnet.kernels.tensors import is_transformed
from dctnet.nn import differentiable_dft, partial_dft
from dctnet.nn.convolution_geometry import Geometry, Sizes, each, geometry
from dctnet.nn.convolution_operands import check_operands, check_real
from dctnet.nn.fast_dft import Side
from dctnet.nn.overlap_save import joined, tiles, tiling
from dctnet.nn.partial_dft import samples, spectra
from dctnet.nn.spectral_product import product
from dctnet.nn.spectrum_masks import ALMOST_ONE, MASKS, Kept, boxed, frequency_order, kept, multiplicity
from dctnet.precision import full_precision

SMALL = (
    32  # times as many numbers on the circle as taps: W is not saved but computed again, little work beside the rest
)
UNKNOWN = (
    "which frequencies hold energy={:g} is known for given maps alone, so it can be neither recorded nor transformed; set a "
    "compression first, as nn.set_compression does for a whole network"
)


@torch.compiler.disable(reason="convolutions by FFT write into buffers; export them, or compile around them")
def fft_convolution(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    compression: float = 0.0,
    *,
    energy: float | None = None,
    output_size: Sizes | None = None,
    mask: str = "square",
    inverse: bool = False,
) -> Tensor:
    """``torch.nn.functional.conv1d`` or ``conv2d`` by FFT, as the filters ``w`` have 3 or 4 axes; band-limited where that is
    asked.

    ``x`` is ``(n, in, h, w)`` or ``(in, h, w)``, ``w`` ``(out, in / groups, kh, kw)``, in 1-D without h and kh; padding is by
    zeros, or "same" or "valid". At most one of

    - ``compression`` of [0, 1): the share of the spectrum that is dropped, the nearest that the mask allows
      (``spectrum_masks.spectrum_mask``);
    - ``energy`` of (0, 1]: as few frequencies are kept, in the order of the mask, as hold this share of the energy of the
      spectrum of x, of all maps of the batch together;
    - ``output_size``: that many samples a side, in place of the stride, of the o there would be: at t o / m for t = 0 ... m -
      1, of the frequencies below what m samples can hold, |f| < m N / (2 o). Spectral pooling; o itself is a whole spectrum.

    Float16 and bfloat16 are computed in float32. The result has the dtype of x, under autocast that of autocast. It can be
    differentiated any number of times, forwards too. ``torch.compile`` leaves it as it is (a break in the graph);
    ``torch.export`` and ``torch.func`` see products of matrices, and of a whole spectrum the convolution of torch. ValueError for
    arguments that do not fit each other.

    >>> x, w = torch.tensor([[[2.0, 1.0, 2.0, 3.0]]]), torch.tensor([[[1.0, 2.0]]])
    >>> fft_convolution(x, w).round(decimals=4)
    tensor([[[4., 5., 8.]]])
    >>> fft_convolution(x, w, compression=0.7).round(decimals=4)  # the mean of x times that of w, over the circle of 4
    tensor([[[6., 6., 6.]]])
    """
    check_operands(x, w, bias)
    check_real(x)
    if x.dim() < w.dim():
        return fft_convolution(
            x[None], w, bias, stride, padding, dilation, groups, compression,
            energy=energy, output_size=output_size, mask=mask, inverse=inverse,
        )[0]  # fmt: skip
    sides = geometry(x.shape, w.shape, stride, padding, dilation, groups)
    limits = check_limits(len(sides), compression, energy, output_size, mask, inverse)
    dtype = x.dtype
    if torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type) and dtype != torch.float64:
        dtype = torch.get_autocast_dtype(x.device.type)
    accurate = torch.promote_types(torch.promote_types(x.dtype, w.dtype), torch.float32)
    whole = limits[:3] == Limits()[:3] and not inverse
    empty = not is_transformed() and not (x.numel() and w.numel())
    if empty or (is_transformed() and whole):  # the same function, in a shorter graph; of nothing it is nothing
        direct = F.conv1d if w.dim() == 3 else F.conv2d
        bias = None if bias is None else bias.to(accurate)
        y = direct(x.to(accurate), w.to(accurate), bias, stride, padding, dilation, groups).to(dtype)
        return y if limits.output_size is None else y[(..., *map(slice, limits.output_size))]
    if w.dim() == 3:
        x, w = x[:, :, None], w[:, :, None]
    y = _convolved(x.to(accurate), w.to(accurate), sides, limits, groups)
    y = y if len(sides) == 2 else y[:, :, 0]
    if bias is not None:
        y = y + bias.to(accurate).view(-1, *[1] * len(sides))
    return y.to(dtype)


def _convolved(x: Tensor, w: Tensor, sides: tuple[Geometry, ...], limits: Limits, groups: int) -> Tensor:
    if is_transformed() and limits.energy is None:  # for any number of maps: no tiles, and operators of torch alone
        todo = plan(sides, limits)
        maps, filters = (_chosen(spectra(v, *at), todo.kept) for v, at in ((x, todo.map), (w, todo.filter)))
        return samples(_placed(product("y", maps, filters, groups), todo), *todo.result)
    if torch._C._are_functorch_transforms_active():
        raise ValueError(UNKNOWN.format(limits.energy))
    cut = tiling(sides, len(x), x.shape[1], len(w), groups) if limits[:3] == Limits()[:3] else None
    if cut is None:
        return _Convolution.apply(x, w, plan(sides, limits), groups)[0]
    y = _Convolution.apply(tiles(x, cut), w, plan(tuple(tile.inside for tile in cut), limits), groups)[0]
    return joined(y, cut, len(x))


class Limits(NamedTuple):
    """What limits the band: see ``fft_convolution``."""

    compression: float = 0.0
    energy: float | None = None
    output_size: tuple[int, ...] | None = None
    mask: str = "square"
    inverse: bool = False


def check_limits(
    dimensions: int,
    compression: float = 0.0,
    energy: float | None = None,
    output_size: Sizes | None = None,
    mask: str = "square",
    inverse: bool = False,
) -> Limits:
    """The limits, if they go together; ValueError else."""
    finite("compression", compression, 0, ALMOST_ONE)
    flag("inverse", inverse)
    if mask not in MASKS:
        raise ValueError(f"mask is one of {', '.join(MASKS)}; got {mask!r}")
    if (compression > 0) + (energy is not None) + (output_size is not None) > 1:
        raise ValueError(
            "one of compression, energy and output_size limits the band; "
            f"got compression={compression}, energy={energy}, output_size={output_size}"
        )
    if energy is not None:
        finite("energy", energy, 0, 1, open_low=True)
    if output_size is not None:
        output_size = each("output_size", output_size, dimensions, 1)
        if mask != "square" or inverse:
            raise ValueError(f"output_size keeps the low square; got mask={mask!r}, inverse={inverse}")
    return Limits(float(compression), energy, output_size, mask, inverse)


class Plan(NamedTuple):
    """The sides (rows, columns) of the map, of the filter and of the result, and what is kept of their spectra."""

    map: tuple[Side, Side]
    filter: tuple[Side, Side]
    result: tuple[Side, Side]
    kept: Kept
    limits: Limits

    def reaching(self, kept: Kept) -> Plan:
        """The same convolution, of which something else is kept."""
        reach = (0, *kept.reach)[-2:]
        sides = (tuple(s._replace(reach=r) for s, r in zip(pair, reach, strict=True)) for pair in self[:3])
        return Plan(*sides, kept, self.limits)


@lru_cache(maxsize=1024)
def plan(sides: tuple[Geometry, ...], limits: Limits) -> Plan:
    """What is to be computed; of ``energy`` the whole spectrum, to be cut when it is known."""
    size = tuple(side.circle for side in sides)
    steps, counts = [side.stride for side in sides], [side.outputs for side in sides]
    everything = kept(size, limits.compression, limits.mask, limits.inverse)
    if limits.output_size is not None:
        for axis, (side, wanted) in enumerate(zip(sides, limits.output_size, strict=True)):
            if side.stride > 1 or wanted > side.outputs:
                raise ValueError(
                    f"output_size is at most what there would be, {tuple(counts)}, and takes the place of the stride; got "
                    f"output_size={limits.output_size} at stride {tuple(steps)}"
                )
            steps[axis] = side.outputs / wanted
        everything = _pooled(size, tuple(counts), limits.output_size)
        counts = limits.output_size
    maps, filters, results = [], [], []
    for axis, side in enumerate(sides):
        n, reach = size[axis], everything.reach[axis]
        maps.append(Side(n, reach, side.side))
        filters.append(Side(n, reach, side.taps, -side.before, side.dilation))
        results.append(Side(n, reach, counts[axis], 0, steps[axis], weighted=True))
    if len(sides) == 1:
        for row in (maps, filters, results):
            row.insert(0, Side(1, 0, 1))
    return Plan(tuple(maps), tuple(filters), tuple(results), everything, limits)


def _pooled(size: tuple[int, ...], outputs: tuple[int, ...], wanted: tuple[int, ...]) -> Kept:
    """The box of frequencies below what ``wanted`` of ``outputs`` samples can hold."""
    reach = [n // 2 if m == o else (m * n - 1) // (2 * o) for n, o, m in zip(size, outputs, wanted, strict=True)]
    count = math.prod(min(2 * r + 1, n) for r, n in zip(reach, size, strict=True))
    return Kept(tuple(reach), None, 1 - count / math.prod(size))


class _Convolution(torch.autograd.Function):
    """``(n, in, h, w)`` and ``(out, in / groups, kh, kw)`` to the result, all of one real dtype, and to what is kept of the
    spectra of both, where the gradient needs it: as results of this node they are what its gradient can be differentiated by.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, todo: Plan, groups: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        with full_precision(x.device):
            maps = spectra(x, *todo.map)
            if todo.limits.energy is not None:
                todo = todo.reaching(_holding(maps, todo))
                maps = _cut(maps, todo)
            maps = _chosen(maps, todo.kept)
            filters = _chosen(spectra(w, *todo.filter), todo.kept)
            y = samples(_placed(product("y", maps, filters, groups), todo), *todo.result)
        needs_x, needs_w = ctx.needs_input_grad[:2]
        again = SMALL * w[0, 0].numel() <= todo.map[0].n * todo.map[1].n
        maps, filters = (maps if needs_w else None), (filters if needs_x and not again else None)
        ctx.save_for_backward(maps, filters, w if needs_x and again else None)
        ctx.set_materialize_grads(False)
        ctx.todo, ctx.groups = todo, groups
        return y, maps, filters

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor | None, of_maps: Tensor | None, of_filters: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        saved, todo, groups = ctx.saved_tensors, ctx.todo, ctx.groups  # asked for once: a checkpoint computes them then
        maps, filters, w = saved
        dft = differentiable_dft if torch.is_grad_enabled() else partial_dft
        with full_precision(next(tensor for tensor in saved if tensor is not None).device):
            if gradient is not None:
                if w is not None:
                    filters = _chosen(dft.spectra(w, *todo.filter), todo.kept)
                gradient = _chosen(dft.spectra(gradient, *todo.result), todo.kept)
                if filters is not None:
                    of_maps = _sum(product("x", gradient, filters, groups), of_maps)
                if maps is not None:
                    of_filters = _sum(product("w", gradient, maps, groups), of_filters)
            x = None if of_maps is None else dft.samples(_placed(of_maps, todo), *todo.map)
            w = None if of_filters is None else dft.samples(_placed(of_filters, todo), *todo.filter)
        return x, w, None, None


def _sum(ours: Tensor, theirs: Tensor | None) -> Tensor:
    return ours if theirs is None else ours + theirs


def _chosen(spectrum: Tensor, kept: Kept) -> Tensor:
    """Of the box of frequencies those that are kept."""
    return spectrum if kept.index is None else spectrum.index_select(1, _on(kept, spectrum))


def _placed(spectrum: Tensor, todo: Plan) -> Tensor:
    """The adjoint of ``_chosen``: zeros where nothing is kept."""
    if todo.kept.index is None:
        return spectrum
    rows, columns = todo.map
    whole = spectrum.new_zeros(2, rows.frequencies * (columns.reach + 1), *spectrum.shape[2:])
    return whole.index_copy_(1, _on(todo.kept, spectrum), spectrum)


def _holding(maps: Tensor, todo: Plan) -> Kept:
    """The fewest frequencies, in the order of the mask, that hold the share ``energy`` of the whole spectra ``maps``."""
    if maps.is_meta:  # sizes alone are asked for
        return todo.kept
    if torch.compiler.is_exporting() or torch.jit.is_tracing() or isinstance(maps, FakeTensor):
        raise ValueError(UNKNOWN.format(todo.limits.energy))
    limits, size = todo.limits, tuple(side.n for side in todo.map)
    size = size if len(todo.kept.reach) == 2 else size[1:]
    order = frequency_order(size, limits.mask)
    _, place = np.unique(-order if limits.inverse else order, return_inverse=True)
    power = maps.double().square().sum((0, 2, 3)).cpu().numpy().reshape(order.shape) * multiplicity(size[-1])
    held = np.bincount(place.ravel(), power.ravel()).cumsum()
    enough = np.flatnonzero(held >= limits.energy * held[-1] * (1 - 1e-12))
    if not len(enough):  # no numbers, of which nothing is left out
        return todo.kept
    return boxed(place.reshape(order.shape) <= enough[0], size)


def _cut(maps: Tensor, todo: Plan) -> Tensor:
    """Whole half spectra to the box that is kept, copied, so that the rest can be freed."""
    rows, columns = todo.map
    box = maps.view(2, rows.n, columns.n // 2 + 1, *maps.shape[2:])
    if 2 * rows.reach + 1 < rows.n:
        box = torch.cat([box[:, : rows.reach + 1], box[:, rows.n - rows.reach :]], 1)
    return box[:, :, : columns.reach + 1].reshape(2, -1, *maps.shape[2:])


def _on(kept: Kept, like: Tensor) -> Tensor:
    """The places that are kept, where ``like`` is."""
    return torch.from_numpy(kept.index).to(like.device)
