"""A discrete Fourier transform of real maps of which only the low frequencies are computed.

Along one side of a circle of N samples, the samples z_j at the positions t_j = start + step * j have the spectrum

    Z_f = s_f sum_j z_j exp(-2 pi i f t_j / N),     |f| <= reach

and nothing is between them: so a filter that is dilated, a map that is padded with zeros and a result of which every second
sample is wanted are all a choice of positions. The adjoint gives samples back,

    z_j = Re sum_f s_f Z_f exp(2 pi i f t_j / N)

With s_f = 1 / N for each frequency (on the last side, of which f >= 0 alone is kept, 2 / N for those that stand for two) it
is the inverse transform.

Spectra are real tensors ``(2, frequencies, n, c)``, real and imaginary part of the frequencies of a half spectrum, rows by
columns: what a product over channels at each frequency reads. Short sides are multiplied by the matrix of the kept
frequencies, at a cost in proportion to them; long ones go through the fast transform, whose rows are cut before its columns
are made.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dctnet.kernels.tensors import is_transformed
from dctnet.nn import fast_dft
from dctnet.nn.block_spectrum import constant
from dctnet.nn.fast_dft import Side
from dctnet.nn.spectrum_masks import frequencies, multiplicity


def spectra(maps: Tensor, rows: Side, columns: Side) -> Tensor:
    """Maps ``(n, c, rows.count, columns.count)`` to ``(2, frequencies, n, c)``, float32 or float64."""
    if fast_is_cheaper(rows, columns):
        return fast_dft.spectra(maps, rows, columns)
    n, c, height, width = maps.shape
    half = constant(half_matrix, columns, like=maps)
    planes = maps.reshape(n * c, height, width).permute(1, 2, 0)
    lines = torch.bmm(half.expand(height, -1, -1), planes)  # (height, 2 U, n c)
    if rows.n > 1:
        full = constant(full_matrix, rows, like=maps)
        lines = full @ lines.view(2 * height, -1)
    return lines.view(2, -1, n, c)


def samples(spectrum: Tensor, rows: Side, columns: Side) -> Tensor:
    """The adjoint of ``spectra``: ``(2, frequencies, n, c)`` to maps ``(n, c, rows.count, columns.count)``."""
    if fast_is_cheaper(rows, columns):
        return fast_dft.samples(spectrum, rows, columns)
    n, c = spectrum.shape[2:]
    lines = spectrum.reshape(2 * rows.frequencies, -1)
    if rows.n > 1:
        lines = constant(full_matrix, rows, like=spectrum).T @ lines
    lines = lines.view(rows.count, 2 * (columns.reach + 1), n * c)
    half = constant(half_matrix, columns, like=spectrum)
    maps = torch.bmm(lines.transpose(1, 2), half.expand(rows.count, -1, -1))  # (height, n c, width)
    return maps.transpose(0, 1).reshape(n, c, rows.count, columns.count)


def fast_is_cheaper(rows: Side, columns: Side) -> bool:
    """Whether the fast transform takes less time than the matrices. What torch records are products of matrices."""
    if is_transformed() or columns.n < 16 or not float(rows.step).is_integer() or not float(columns.step).is_integer():
        return False
    return transform_cost(rows, columns) < matrix_cost(rows, columns)


def matrix_cost(rows: Side, columns: Side) -> float:
    """Multiply-adds of the matrices for one map."""
    u = columns.reach + 1
    return 2 * u * rows.count * (columns.count + (2 * rows.frequencies if rows.n > 1 else 0))


def transform_cost(rows: Side, columns: Side) -> float:
    """The time of the fast transform of one map in that of a multiply-add of matrices; the factors are measured on a CPU.

    Samples that do not begin the circle are placed on it first, which takes as long again.
    """
    u = columns.reach + 1
    steps = rows.count * columns.n * math.log2(columns.n) / 2 + u * rows.n * math.log2(rows.n)
    placed = (rows.start, rows.step, columns.start, columns.step) != (0, 1, 0, 1)
    return (14 * steps + 100 * u * rows.frequencies) * (2 if placed else 1)


def half_matrix(side: Side) -> Tensor:
    """From real samples to the frequencies 0 ... reach: ``(2 (reach + 1), count)``, cosines above, minus sines below."""
    angle = _angles(side, np.arange(side.reach + 1))
    matrix = torch.stack([angle.cos(), -angle.sin()])
    if side.weighted:
        matrix *= torch.from_numpy(multiplicity(side.n)[: side.reach + 1, None] / side.n)
    return matrix.flatten(0, 1)


def full_matrix(side: Side) -> Tensor:
    """From complex samples ``(count, 2)`` to complex frequencies ``(2, frequencies)``, each flattened."""
    angle = _angles(side, frequencies(side.n, side.reach))
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)])
    if side.weighted:
        matrix /= side.n
    return matrix.flatten(2).flatten(0, 1)


def _angles(side: Side, cycles: np.ndarray) -> Tensor:
    """2 pi f t_j / N, f t_j reduced to one turn before it is rounded."""
    positions = side.start + side.step * np.arange(side.count)
    return torch.from_numpy(2 * math.pi / side.n * np.remainder(cycles[:, None] * positions, side.n))
