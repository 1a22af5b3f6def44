"""The mathematics of block DCT planes: the basis, the block transform, the zigzag order, and lifted operators.

With T_b the block-diagonal matrix of b-point orthonormal DCT-II matrices, the coefficients of a plane of samples P are
X = T_b P T_b'. A separable linear operator on samples, P -> R_v P R_h', acts on coefficients as

    X -> A_v X A_h',    A = T_c R T_b'          (block size b in, c out)

exactly, to rounding: ``lift`` makes A from R, ``apply`` applies the pair. R has few non-zeros a row, so a block of the
output depends on a short run of input blocks; A is kept and multiplied as those runs only.
The arithmetic is done in the dtype of the planes, whatever autocast says.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from dctnet.coefficients import BLOCK_SIZES, block_size, zigzag_order
from dctnet.kernels.block_transform import to_blocks, to_ended_blocks, to_samples
from dctnet.kernels.tensors import is_plain, is_watched
from dctnet.precision import full_precision
from dctnet.resampling import Banded, banded


def cosines(n: int) -> Tensor:
    """The orthonormal n-point DCT-II matrix ``(n, n)``, float64, for any n: what ``basis`` gives for block sizes.

    >>> T = cosines(7)
    >>> torch.allclose(T @ T.T, torch.eye(7, dtype=torch.float64))
    True
    """
    # Made on the CPU whatever torch's default device is: "meta" holds no values.
    frequency = torch.arange(n, dtype=torch.float64, device="cpu")[:, None]
    sample = torch.arange(n, dtype=torch.float64, device="cpu")[None, :]
    matrix = torch.cos(math.pi * (2 * sample + 1) * frequency / (2 * n)) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix


@lru_cache(maxsize=64)
def _basis(b: int, dtype: torch.dtype, device: str) -> Tensor:
    return cosines(b).to(dtype).to(device)


def basis(b: int, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Tensor:
    """The orthonormal b-point DCT-II matrix ``(b, b)``: T[k, n] = sqrt((1 + [k > 0]) / b) cos(pi (2n + 1) k / (2b)).

    ``T @ x`` are the coefficients of b samples x, ``T.T @ X`` the samples again. ValueError for a size that is no block size.

    Source: Ahmed, Natarajan and Rao, "Discrete cosine transform", IEEE Transactions on Computers, 1974.

    >>> torch.allclose(basis(8) @ basis(8).T, torch.eye(8, dtype=torch.float64))
    True
    """
    if b not in BLOCK_SIZES:
        raise ValueError(f"the block size is one of {BLOCK_SIZES}; got {b!r}")
    make = _basis.__wrapped__ if is_watched() else _basis  # what is made of fake tensors is not kept
    return make(b, dtype, str(device)).clone()


# Up to this block size one product with the matrix of both axes is faster than two products of small matrices a block.
PRODUCT = 8


@lru_cache(maxsize=64)
def _product(b: int, dtype: torch.dtype, device: str) -> Tensor:
    with torch.inference_mode(False):  # else what is kept could never take part in training
        return torch.kron(basis(b), basis(b)).to(dtype).to(device)


def product(b: int, values: Tensor) -> Tensor:
    """T (x) T, ``(b*b, b*b)``, for ``values``: row ``b*v + u`` holds the samples, row by row, of the basis picture (v, u)."""
    return (_product.__wrapped__ if is_watched() else _product)(b, values.dtype, str(values.device))


def zigzag(b: int = 8) -> Tensor:
    """Row-major channel indices ``(b*b,)`` in zigzag order: entry k is the channel ``b*v + u`` of the k-th zigzag step.

    ``plane[zigzag(8)]`` orders channels from low to high frequency as JPEG files store them (ITU-T T.81, figure A.6).

    >>> zigzag(8)[:6].tolist()
    [0, 1, 8, 16, 9, 2]
    """
    return torch.tensor(zigzag_order(b))


def block_dct(samples: Tensor, b: int = 8) -> Tensor:
    """Samples ``(..., H, W)`` to coefficients ``(..., b*b, H/b, W/b)``: each b x b block becomes T P T'.

    Nothing is shifted: subtract 128 from gray levels first. H and W are multiples of b (ValueError otherwise).

    >>> block_dct(torch.full((8, 16), 3.0))[0].round().tolist()        # DC is b times the mean
    [[24.0, 24.0]]
    """
    height, width = samples.shape[-2:]
    if height % b or width % b:
        raise ValueError(f"{height}x{width} samples are not whole blocks of {b}; pad them to multiples of {b} first")
    if b == 1:
        return samples[..., None, :, :]
    if is_plain(samples):
        return to_blocks(samples, b).movedim(-1, -3)
    blocks = samples.unflatten(-1, (-1, b)).unflatten(-3, (-1, b)).transpose(-3, -2)
    with full_precision(samples.device):
        if b <= PRODUCT:
            return (blocks.flatten(-2) @ product(b, samples).T).movedim(-1, -3)
        matrix = basis(b, samples.dtype, samples.device)
        return (matrix @ blocks @ matrix.T).flatten(-2).movedim(-1, -3)


def block_dct_ended(samples: Tensor, b: int, ending: Tensor) -> Tensor:
    """``gain * block_dct(samples, b) + shift`` in one pass, ``ending`` (2, b*b) the gain and the shift of each coefficient.

    For float32 in ordinary memory, without gradient.
    """
    if b == 1:
        gain, shift = ending.flatten().tolist()
        return (gain * samples + shift)[..., None, :, :]
    return to_ended_blocks(samples, b, ending).movedim(-1, -3)


def block_idct(plane: Tensor) -> Tensor:
    """Coefficients ``(..., b*b, H/b, W/b)`` to samples ``(..., H, W)``: the inverse of ``block_dct``.

    >>> samples = torch.randn(2, 16, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(block_idct(block_dct(samples, 8)), samples)
    True
    """
    b = block_size(plane)
    if b == 1:
        return plane[..., 0, :, :]
    blocks = plane.movedim(-3, -1)
    if is_plain(plane):
        return to_samples(blocks, b)
    with full_precision(plane.device):
        if b <= PRODUCT:
            blocks = (blocks @ product(b, plane)).unflatten(-1, (b, b))
        else:
            matrix = basis(b, plane.dtype, plane.device)
            blocks = matrix.T @ blocks.unflatten(-1, (b, b)) @ matrix
    return blocks.transpose(-3, -2).flatten(-2).flatten(-3, -2)


class Lifted(NamedTuple):
    """A = T_c R T_b' as runs of blocks: block p of the output is ``sum_k blocks[p, :, k, :] @ x[first[p] + k]``.

    ``first`` (P,) int64, ``blocks`` (P, c, K, b), ``inputs`` the number of input blocks, ``low`` and ``high`` the range of
    input blocks that are read at all. Leading axes of ``blocks`` hold one operator for each picture of a batch.
    """

    first: Tensor
    blocks: Tensor
    inputs: int
    low: int
    high: int


def lift(R: Banded | Tensor, block_in: int = 8, block_out: int = 8) -> Lifted:
    """The operator A = T_c R T_b' on coefficients of one axis, from the operator R ``(n_out, n_in)`` on samples.

    R is a matrix or a ``Banded`` one; n_out is a multiple of ``block_out`` (ValueError otherwise); where n_in is not a
    multiple of ``block_in``, the samples that fill the last block are ignored. Computed in float64.
    """
    R = banded(R)
    outputs, taps = R.weights.shape
    if outputs % block_out:
        raise ValueError(
            f"{outputs} output samples are not whole blocks of {block_out}; extend R with resampling.extend"
        )
    count, inputs = outputs // block_out, -(-R.inputs // block_in)
    start = R.start.view(count, block_out)
    first = start.amin(1) // block_in
    run = min(int((-((start.amax(1) + taps) // -block_in) - first).amax()), inputs)
    first = first.clamp(max=inputs - run)
    window = R.weights.new_zeros(count, block_out, run * block_in)
    offset = (start - first[:, None] * block_in)[..., None] + torch.arange(taps)
    window.scatter_(2, offset, R.weights.view(count, block_out, taps))
    window = basis(block_out) @ window
    blocks = window.unflatten(-1, (run, block_in)) @ basis(block_in).T
    low = int(first.amin())
    return Lifted(first, blocks, inputs, low, int(first.amax()) + run)


def _apply_rows(operator: Lifted, matrix: Tensor) -> Tensor:
    """A on the row index of ``(..., n_in, m)``, whose first row belongs to input block ``operator.low``."""
    count, _, run, block_in = operator.blocks.shape[-4:]
    rows = (operator.first - operator.low)[:, None] * block_in + torch.arange(run * block_in)
    windows = matrix.index_select(-2, rows.flatten().to(matrix.device)).unflatten(-2, (count, run * block_in))
    weights = operator.blocks.flatten(-2).to(matrix.device, matrix.dtype)
    return (weights @ windows).flatten(-3, -2)


def apply(plane: Tensor, vertical: Lifted, horizontal: Lifted) -> Tensor:
    """X -> A_v X A_h' on a plane ``(..., b*b, H/b, W/b)``; returns ``(..., c*c, P, Q)``, blocks contiguous.

    Integer planes are computed in float32. Only the blocks that the operators read are touched, and of the two orders of
    multiplication the cheaper is taken. ValueError where an operator was made for another number or size of blocks.
    """
    b = block_size(plane)
    for name, operator, blocks in (
        ("vertical", vertical, plane.shape[-2]),
        ("horizontal", horizontal, plane.shape[-1]),
    ):
        if operator.blocks.shape[-1] != b or operator.inputs != blocks:
            raise ValueError(
                f"the {name} operator reads {operator.inputs} blocks of {operator.blocks.shape[-1]}; "
                f"the plane {tuple(plane.shape)} has {blocks} blocks of {b}"
            )
    c = vertical.blocks.shape[-3]
    if horizontal.blocks.shape[-3] != c:
        raise ValueError(
            f"the operators write different blocks: {c} vertically, {horizontal.blocks.shape[-3]} horizontally"
        )
    x = plane.movedim(-3, -1)[..., vertical.low : vertical.high, horizontal.low : horizontal.high, :]
    x = x if x.is_floating_point() else x.to(torch.float32)
    # Row i*b + v and column j*b + u of this matrix hold the coefficient (v, u) of block (i, j).
    x = x.unflatten(-1, (b, b)).transpose(-3, -2).flatten(-2).flatten(-3, -2)
    run_v, run_h = vertical.blocks.shape[-2] * b, horizontal.blocks.shape[-2] * b
    rows_in, columns_in = x.shape[-2:]
    rows_out, columns_out = vertical.blocks.shape[-4] * c, horizontal.blocks.shape[-4] * c
    with full_precision(x.device):
        if rows_out * (run_v * columns_in + run_h * columns_out) <= columns_out * (run_h * rows_in + run_v * rows_out):
            x = _apply_rows(horizontal, _apply_rows(vertical, x).transpose(-2, -1)).transpose(-2, -1)
        else:
            x = _apply_rows(vertical, _apply_rows(horizontal, x.transpose(-2, -1)).transpose(-2, -1))
    blocks = x.unflatten(-1, (-1, c)).unflatten(-3, (-1, c)).transpose(-3, -2)
    return blocks.flatten(-2).contiguous().movedim(-1, -3)
