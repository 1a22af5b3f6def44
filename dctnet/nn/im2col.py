"""Convolution as one product of matrices, the textbook form: every patch that the filter sees becomes a column.

    y = W X        W (o, c k) the filters as rows, X (c k, outputs) the patches as columns, k the number of taps

X repeats each number of the map up to k times, and is kept for the gradient of the filters: that is the price of its simplicity.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from dctnet.nn.convolution_geometry import Sizes, geometry
from dctnet.nn.convolution_operands import as_autocast, check_operands


def im2col_convolution(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """``torch.nn.functional.conv1d`` or ``conv2d`` of ``x`` (n, c, *sides) or (c, *sides) and ``w`` (o, c / groups, *taps).

    Computed in the type of the operands, under autocast in its. ValueError for arguments that do not fit each other.

    >>> import torch
    >>> im2col_convolution(torch.tensor([[[2.0, 1.0, 2.0, 3.0]]]), torch.tensor([[[1.0, 2.0]]]))
    tensor([[[4., 5., 8.]]])
    """
    check_operands(x, w, bias)
    if x.dim() < w.dim():
        return im2col_convolution(x[None], w, bias, stride, padding, dilation, groups)[0]
    sides = geometry(x.shape, w.shape, stride, padding, dilation, groups)
    x, w, bias = as_autocast(x, w, bias)
    patches = F.pad(x, [zeros for side in reversed(sides) for zeros in (side.before, side.after)])
    for axis, side in enumerate(sides, start=2):
        patches = patches.unfold(axis, side.reach + 1, side.stride)[..., :: side.dilation]
    # (n, c, *outputs, *taps) to (groups, c / groups * taps, n * outputs)
    outputs = range(2, 2 + len(sides))
    columns = patches.permute(1, *range(2 + len(sides), patches.dim()), 0, *outputs)
    columns = columns.flatten(-1 - len(sides)).flatten(0, len(sides)).unflatten(0, (groups, -1))
    y = w.flatten(1).unflatten(0, (groups, -1)) @ columns
    y = y.flatten(0, 1).unflatten(1, (x.shape[0], *(side.outputs for side in sides))).transpose(0, 1).contiguous()
    return y if bias is None else y + bias.view(-1, *[1] * len(sides))
