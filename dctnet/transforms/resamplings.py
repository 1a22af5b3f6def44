"""``separable.box_to_size`` and ``resampling.compose`` for n pictures at once, where the product has a closed form.

Operators are one float64 array ``(n, 2, 3, 6)``: for each picture, axis (down, across) and plane (Y, Cb, Cr) the six
numbers of a ``resampling.Resampling``. They come from the operations of the functions for one picture, in their order,
so they equal theirs to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dctnet.coefficients import SPACING_420

STEP_420 = np.array([[int(plane[axis]) for plane in SPACING_420] for axis in range(2)], dtype=np.float64)


def product(steps: Sequence[np.ndarray], sizes: np.ndarray, sampling: np.ndarray) -> np.ndarray | None:
    """The operators of a chain of ``steps`` (n, 8), each what ``Geometric.draw_many`` gives.

    ``sizes`` (n, 2) are those of the pictures, ``sampling`` (n, 3, 2) the (vertical, horizontal) sampling factors of their
    planes. None where a step after the first is more than a run of whole samples, forwards or backwards, or reads nothing.
    """
    d = sampling.transpose(0, 2, 1).astype(np.float64)
    n = d.max(2, keepdims=True)
    made = None
    for step in steps:
        inner, made = made, _boxes(step.astype(np.float64), sizes[:, :, None].astype(np.float64), n, d)
        made = made if inner is None or made is None else _selected(made, inner)
        if made is None:
            return None
        sizes, n, d = step[:, 4:6], STEP_420, np.ones_like(STEP_420)
    return made


def _boxes(step: np.ndarray, size: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray | None:
    """``separable.box_to_size`` on planes of spacing n / d, ``size`` (n, 2, 1); None where an operator reads nothing."""
    start, length, out = (step[:, at : at + 2, None] for at in (0, 2, 4))
    backwards = (step[:, [7, 6]] == 1)[:, :, None]
    low, high, scale = start * d / n, (start + length) * d / n, length * STEP_420 * d / (n * out)
    made = np.empty((*low.shape, 6))
    made[..., 0] = -np.floor_divide(-size * d, n)
    made[..., 1] = -np.floor_divide(-out, STEP_420)
    made[..., 2] = np.where(backwards, high, low)
    made[..., 3] = np.where(backwards, -scale, scale)
    made[..., 4] = np.maximum(np.floor(low + 1e-9), 0)
    made[..., 5] = np.minimum(np.ceil(high - 1e-9), made[..., 0])
    whole = (made[..., :2] > 0).all() and (made[..., 4] < made[..., 5]).all()
    return made if whole else None


def _selected(outer: np.ndarray, inner: np.ndarray) -> np.ndarray | None:
    """``resampling.compose`` where ``outer`` only takes runs of whole samples; None where it does more."""
    outputs, origin, scale = outer[..., 1], outer[..., 2], outer[..., 3]
    first = np.where(scale < 0, origin - outputs, origin)
    inside = (first >= outer[..., 4]) & (first + outputs <= outer[..., 5])
    if not (inside & (np.abs(scale) == 1) & (origin == np.trunc(origin))).all():
        return None
    made = inner.copy()
    made[..., 1] = outputs
    made[..., 2] += origin * inner[..., 3]
    made[..., 3] *= scale
    return made
