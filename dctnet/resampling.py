"""One-dimensional linear operators on the samples of one axis: what ``dct.lift`` carries over to coefficients.

Each output sample of crop, resize, flip or pad is a weighted sum of a few consecutive input samples, so an operator is
kept as the first input sample and the weights of each row.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Banded(NamedTuple):
    """The matrix R ``(n_out, inputs)`` with R[i, start[i] + t] = weights[i, t] and zeros elsewhere.

    ``start`` (n_out,) int64 and ``weights`` (n_out, taps) float64, with 0 <= start and start + taps <= inputs.
    """

    start: Tensor
    weights: Tensor
    inputs: int

    def dense(self) -> Tensor:
        """The matrix itself, ``(n_out, inputs)``."""
        columns = self.start[:, None] + torch.arange(self.weights.shape[1])
        return self.weights.new_zeros(len(self.start), self.inputs).scatter_(1, columns, self.weights)


def banded(R: Banded | Tensor) -> Banded:
    """A matrix ``(n_out, n_in)`` with its zeros outside of one run of columns a row left out; a ``Banded`` as it is.

    >>> banded(torch.eye(3)).weights.tolist()
    [[1.0], [1.0], [1.0]]
    """
    if isinstance(R, Banded):
        return R
    if R.ndim != 2 or not R.numel():
        raise ValueError(f"an operator on one axis is a matrix (outputs, inputs); got shape {tuple(R.shape)}")
    inputs = R.shape[1]
    filled = R != 0
    first = filled.int().argmax(1)
    last = inputs - 1 - filled.flip(1).int().argmax(1)
    first, last = first.where(filled.any(1), 0), last.where(filled.any(1), 0)
    taps = int((last - first).amax()) + 1
    start = first.clamp(max=inputs - taps)
    return Banded(start, R.to(torch.float64).gather(1, start[:, None] + torch.arange(taps)), inputs)


class Resampling(NamedTuple):
    """Linear interpolation with antialiasing, its rows not yet computed: see ``resample``.

    A chain of transforms often keeps few of the rows (the centre of an enlarged picture), so they are made when asked for.
    """

    inputs: int
    outputs: int
    origin: float
    scale: float
    low: int
    high: int

    def rows(self, first: int = 0, last: int | None = None) -> Banded:
        """Rows ``first`` to ``last`` (exclusive; default: all) as a matrix."""
        support = max(abs(self.scale), 1.0)
        outputs = np.arange(first, self.outputs if last is None else last, dtype=np.float64)
        centre = (self.origin + (outputs + 0.5) * self.scale).clip(self.low, self.high)
        taps = min(math.ceil(2 * support - 1e-9), self.high - self.low)
        start = np.floor(centre - support + 0.5).clip(self.low, self.high - taps)
        weights = start[:, None] + (np.arange(taps) + 0.5) - centre[:, None]
        weights = (1 - np.abs(weights) / support).clip(0)
        if taps == 2 and support == 1 and not weights[:, 1].any():  # whole-sample shifts need one tap
            weights = weights[:, :1]
        weights = weights / weights.sum(1, keepdims=True)
        return Banded(torch.from_numpy(start.astype(np.int64)), torch.from_numpy(weights), self.inputs)


def resampling(
    inputs: int, outputs: int, origin: float, scale: float, low: float | None = None, high: float | None = None
) -> Resampling:
    """``resample`` with its rows still to be computed. ValueError where there is nothing to take samples from."""
    # A box edge that misses a sample's edge by rounding alone must not admit the sample.
    first = 0 if low is None else max(0, math.floor(low + 1e-9))
    last = inputs if high is None else min(inputs, math.ceil(high - 1e-9))
    if not (inputs > 0 and outputs > 0 and first < last):
        raise ValueError(f"nothing to resample: {inputs} samples in, {outputs} out, taken from [{first}, {last})")
    return Resampling(inputs, outputs, origin, scale, first, last)


def resample(
    inputs: int, outputs: int, origin: float, scale: float, low: float | None = None, high: float | None = None
) -> Banded:
    """Linear interpolation with antialiasing: output i is centred on the input coordinate origin + (i + 1/2) * scale.

    Input sample j covers [j, j + 1). The weights are the triangle max(0, 1 - |j + 1/2 - centre| / max(|scale|, 1)) over
    the samples that meet the interval [low, high) (default: all), normalised to sum 1; a negative ``scale`` runs
    backwards. Without an offset this is what ``torch.nn.functional.interpolate(mode="bilinear", antialias=True)`` and
    Pillow's BILINEAR compute along one axis, to rounding.

    >>> (resample(4, 2, 0, 2).dense() * 7).round().tolist()
    [[3.0, 3.0, 1.0, 0.0], [0.0, 1.0, 3.0, 3.0]]
    """
    return resampling(inputs, outputs, origin, scale, low, high).rows()


PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def place(inputs: int, outputs: int, offset: float, mode: str = "constant") -> Banded:
    """The samples moved by ``offset`` onto ``outputs`` places: output i is the input at i - offset, between samples linear.

    Outside of the input ``mode`` says what there is: "constant" zero, "edge" the last sample, "reflect" the samples mirrored
    about the last one, "symmetric" about its outer edge, as in ``torchvision.transforms.v2.functional.pad``, and mirrored again
    as often as there is place, as in ``numpy.pad``. ValueError for another mode.

    >>> place(3, 5, 1).dense()[:, 0].tolist(), place(3, 5, 1, "reflect").dense()[:, 1].tolist()
    ([0.0, 1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0, 1.0])
    """
    if mode not in PADDING_MODES:
        raise ValueError(f"the padding mode is one of {PADDING_MODES}; got {mode!r}")
    positions = torch.arange(outputs, dtype=torch.float64) - offset
    lower = positions.floor()
    fraction = positions - lower
    samples = torch.stack([lower, lower + 1], 1).long() if fraction.any() else lower.long()[:, None]
    weights = torch.stack([1 - fraction, fraction], 1)[:, : samples.shape[1]]
    outside = (samples < 0) | (samples >= inputs)
    if mode == "constant":
        weights = weights.masked_fill(outside, 0)
    elif mode != "edge":
        edge = 1 if mode == "symmetric" else 0  # whether the last sample itself is mirrored, too
        last = 2 * (inputs - 1) + edge
        samples = samples.remainder(max(last + edge, 1))
        samples = torch.minimum(samples, last - samples)
    samples = samples.clamp(0, inputs - 1)
    taps = min(samples.shape[1], inputs)
    start = samples.amin(1).clamp(max=inputs - taps)
    total = weights.new_zeros(outputs, taps).scatter_add_(1, samples - start[:, None], weights)
    return Banded(start, total, inputs)


def extend(R: Banded, outputs: int) -> Banded:
    """R with its last row repeated up to ``outputs`` rows: the edge is replicated, as JPEG encoders fill a block.

    >>> extend(resample(2, 2, 0, 1), 4).dense()[:, 1].tolist()
    [0.0, 1.0, 1.0, 1.0]
    """
    if outputs == len(R.start):
        return R
    rows = torch.arange(outputs).clamp(max=len(R.start) - 1)
    return Banded(R.start[rows], R.weights[rows], R.inputs)


def _selected(outer: Resampling, inner: Resampling) -> Resampling | None:
    """``outer @ inner`` where ``outer`` only takes a run of samples, forwards or backwards; None where it does more."""
    if abs(outer.scale) != 1 or outer.origin != int(outer.origin):
        return None
    origin, backwards = int(outer.origin), outer.scale < 0
    first = origin - outer.outputs if backwards else origin
    if first < outer.low or first + outer.outputs > outer.high:
        return None  # rows beyond the ends repeat the last sample
    return Resampling(
        inner.inputs,
        outer.outputs,
        inner.origin + origin * inner.scale,
        outer.scale * inner.scale,
        inner.low,
        inner.high,
    )


def compose(outer: Banded | Resampling, inner: Banded | Resampling) -> Banded | Resampling:
    """The product outer @ inner: first ``inner``, then ``outer``. ValueError where the sizes do not meet.

    Of a ``Resampling`` inside only the rows that ``outer`` reads are computed. Where ``outer`` is one, too, and takes whole
    samples (a crop at a whole offset, a flip), the product is a ``Resampling`` again and no row is computed.

    >>> half = resample(8, 4, 0, 2)
    >>> torch.allclose(compose(resample(4, 2, 0, 2), half).dense(), resample(4, 2, 0, 2).dense() @ half.dense())
    True
    """
    outputs = inner.outputs if isinstance(inner, Resampling) else len(inner.start)
    if outer.inputs != outputs:
        raise ValueError(f"the outer operator reads {outer.inputs} samples, the inner one writes {outputs}")
    if isinstance(outer, Resampling) and isinstance(inner, Resampling) and (product := _selected(outer, inner)):
        return product
    outer = outer.rows() if isinstance(outer, Resampling) else outer
    if isinstance(inner, Resampling):
        first, last = int(outer.start.amin()), int(outer.start.amax()) + outer.weights.shape[1]
        outer, inner = Banded(outer.start - first, outer.weights, last - first), inner.rows(first, last)
    rows = outer.start[:, None] + torch.arange(outer.weights.shape[1])
    starts = inner.start[rows]
    start = starts.amin(1)
    taps = int((starts - start[:, None]).amax()) + inner.weights.shape[1]
    start = start.clamp(max=inner.inputs - taps) if taps <= inner.inputs else start * 0
    taps = min(taps, inner.inputs)
    columns = (starts - start[:, None])[..., None] + torch.arange(inner.weights.shape[1])
    weights = outer.weights[..., None] * inner.weights[rows]
    total = weights.new_zeros(len(start), taps)
    return Banded(start, total.scatter_add_(1, columns.flatten(1), weights.flatten(1)), inner.inputs)
