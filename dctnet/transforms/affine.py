"""Rotation, shear, translation and scaling by any amount, about any centre.

Such a map is linear in the samples, but a row of the result reads several rows of the picture, so it is no pair of row and
column operators. Its lifted form has three factors, which are applied one after the other, as that costs least:

    X -> T_c G(T_b' X T_b) T_c'

the inverse transform of the blocks, G, which takes for each sample of the result the four around its place in the picture
(bilinear interpolation), and the transform of the blocks. In ``Compose`` the first factor is part of the separable operator
that comes before, and the last of the one that comes after, so a crop and a rotation cost no transform of blocks of their
own. Places are computed in float64 and rounded to the type of the samples: float32 moves them by up to 1e-5 pixels
(``dctnet bench transforms`` prints the error). This equals torchvision's ``affine`` and ``rotate`` with
``InterpolationMode.BILINEAR`` on the samples, to rounding, for luma; chroma is warped at its own resolution by the same map
of the picture, its samples where JPEG has them (centred between four luma samples).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dctnet.arguments import finite, several
from dctnet.coefficients import Coefficients
from dctnet.kernels import _native
from dctnet.kernels.tensors import as_array, is_plain, is_tracked
from dctnet.transforms.separable import Fill

Matrix = tuple[float, float, float, float, float, float]


def inverse_matrix(
    angle: float, translate: Sequence[float], scale: float, shear: Sequence[float], center: Sequence[float]
) -> Matrix:
    """The map from places in the result to places in the picture, (x, y) -> (a x + b y + c, d x + e y + f), in pixels.

    Both are counted from the centre of the picture, x to the right, y down; ``center`` too. The picture is sheared by
    ``shear`` degrees along x and y, scaled, turned by ``angle`` degrees clockwise about ``center``, and moved by
    ``translate``: the arguments of ``torchvision.transforms.v2.functional.affine``, whose formula this inverts:
    M = T C R(angle) S(scale) Y(shear y) X(shear x) C^-1. ValueError where the map has no inverse.
    """
    angle, scale = finite("angle", angle), finite("scale", scale, 0, open_low=True)
    translate, shear, center = (
        several(name, value, (2,)) for name, value in (("translate", translate), ("shear", shear), ("center", center))
    )
    turn, along, down = (math.radians(value) for value in (angle, *shear))
    if min(abs(math.cos(along)), abs(math.cos(down))) < 1e-9:
        raise ValueError(f"a shear is not 90 degrees, which has no inverse; got shear={shear}")
    rotation = ((math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn)))
    # The inverses of the factors, from the last to the first.
    (a, b), (d, e) = ((rotation[0][0], rotation[1][0]), (rotation[0][1], rotation[1][1]))
    a, b, d, e = (value / scale for value in (a, b, d, e))
    ty, tx = math.tan(down), math.tan(along)
    d, e = d + ty * a, e + ty * b
    a, b = a + tx * d, b + tx * e
    x, y = center[0] + translate[0], center[1] + translate[1]
    return a, b, center[0] - a * x - b * y, d, e, center[1] - d * x - e * y


def expanded_size(matrix: Matrix, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the canvas that holds the whole of a turned picture of ``size``, as Pillow and torchvision reckon it."""
    (a, b, c, d, e, f), (height, width) = matrix, size
    corners = [(x, y) for x in (-width / 2, width / 2) for y in (-height / 2, height / 2)]
    across = [a * x + b * y + c + width / 2 for x, y in corners]
    downwards = [d * x + e * y + f + height / 2 for x, y in corners]
    return tuple(math.ceil(max(values)) - math.floor(min(values)) for values in (downwards, across))


def warp(
    samples: Coefficients,
    matrix: Tensor,
    size: tuple[int, int],
    output_size: tuple[int, int],
    fill: Fill = (0.0, 0.0, 0.0),
) -> Coefficients:
    """Samples ``(..., 1, H, W)`` of pictures of ``size`` on the 4:2:0 grid, warped to ``output_size`` by ``matrix`` ``(..., 6)``.

    ``matrix``: see ``inverse_matrix``; its leading axes are those of the planes, one map a picture. Outside of the picture
    lies ``fill`` (Y - 128, Cb - 128, Cr - 128), and at the edge the two are interpolated. Differentiable in samples and matrix.
    """
    lead = samples.y.shape[:-3]
    matrix = matrix.to(samples.y.device, torch.float64).expand(*lead, 6).reshape(-1, 6)
    if all(is_plain(plane) and not is_tracked(plane) for plane in samples) and not is_tracked(matrix):
        return _by_loop(samples, matrix, size, output_size, fill)
    luma = _warped(samples.y.reshape(-1, 1, *samples.y.shape[-2:]), matrix, 1, size, output_size, fill[:1])
    chroma = torch.cat([samples.cb, samples.cr], -3).reshape(-1, 2, *samples.cb.shape[-2:])
    chroma = _warped(chroma, matrix, 2, size, output_size, fill[1:])
    chroma = chroma.reshape(*lead, *chroma.shape[1:])
    return Coefficients(luma.reshape(*lead, *luma.shape[1:]), chroma[..., :1, :, :], chroma[..., 1:, :, :])


@lru_cache(maxsize=256)
def _in_samples(step: int, size: tuple[int, int], output_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(A, t) with which A m + t is the map m of ``inverse_matrix`` in samples of spacing ``step``, from the first ones on."""
    x, y = ((step - length) / 2 for length in output_size[::-1])  # the first sample of the result, from its centre
    one = np.array([[1, 0, 0], [0, 1, 0], [x / step, y / step, 1 / step]])
    width, height = (length / (2 * step) - 0.5 for length in size[::-1])
    return np.kron(np.eye(2), one).T.copy(), np.array([0, 0, width, 0, 0, height])


def _by_loop(
    samples: Coefficients, matrix: Tensor, size: tuple[int, int], output_size: tuple[int, int], fill: Fill
) -> Coefficients:
    """``warp`` by the compiled loop."""
    matrix, planes, made = matrix.detach().numpy(), [], {}
    for plane, colour, step in zip(samples, fill, (1, 2, 2), strict=True):
        if step not in made:
            linear, constant = _in_samples(step, size, output_size)
            made[step] = matrix @ linear + constant
        (rows, columns), (rows_out, columns_out) = (
            (-(-length // step) for length in pair) for pair in (size, output_size)
        )
        warped = torch.empty(*plane.shape[:-2], rows_out, columns_out)
        inside = as_array(plane[..., :rows, :columns], 3)
        _native.warp(inside, made[step], as_array(warped, 3), np.float32([colour]), torch.get_num_threads())
        planes.append(warped)
    return Coefficients(*planes)


def _warped(
    planes: Tensor,
    matrix: Tensor,
    step: int,
    size: tuple[int, int],
    output_size: tuple[int, int],
    fill: Sequence[float],
) -> Tensor:
    """Planes (n, k, H, W) of one spacing ``step`` in pixels, warped."""
    rows, columns = (-(-length // step) for length in size)
    rows_out, columns_out = (-(-length // step) for length in output_size)
    planes, dtype = planes[..., :rows, :columns], planes.dtype
    planes = planes.to(torch.float64 if dtype == torch.float64 else torch.float32)
    a, b, c, d, e, f = matrix[:, :, None].unbind(1)
    x, y = (
        (torch.arange(count, device=planes.device, dtype=torch.float64) + 0.5) * step - length / 2
        for count, length in ((columns_out, output_size[1]), (rows_out, output_size[0]))
    )
    # grid_sample counts from -1 to 1 over the plane. What depends on x, and what depends on y:
    across, down = 2 / (step * columns), 2 / (step * rows)
    by_column = torch.complex((a * across) * x, (d * down) * x)[:, None]
    by_row = torch.complex(
        (b * across) * y + ((c + size[1] / 2) * across - 1), (e * down) * y + ((f + size[0] / 2) * down - 1)
    )[:, :, None]
    pairs = torch.complex128 if planes.dtype == torch.float64 else torch.complex64  # a sum of pairs is one pass
    places = torch.view_as_real(by_column.to(pairs) + by_row.to(pairs))
    if not any(fill):
        return torch.nn.functional.grid_sample(planes, places, align_corners=False).to(dtype)
    colour = torch.tensor(fill, dtype=planes.dtype, device=planes.device)[:, None, None]
    return (torch.nn.functional.grid_sample(planes - colour, places, align_corners=False) + colour).to(dtype)
