"""What each step does to n pictures along one axis of a plane, evaluated for all of them at once in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dctnet.transforms.steps import Drawn, Placed


class Stage(NamedTuple):
    """``resampling.Resampling`` along one axis for n pictures: arrays ``(n,)`` of float64, ``low`` and ``high`` whole."""

    origin: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def centres(self, outputs: np.ndarray) -> np.ndarray:
        """Where in the input the outputs ``(n, O, R)`` are centred."""
        origin, scale, low, high = (value[:, None, None] for value in self)
        return (origin + (outputs + 0.5) * scale).clip(low, high)

    def support(self) -> np.ndarray:
        """Half the width of the triangle, ``(n,)``."""
        return np.maximum(np.abs(self.scale), 1)

    def taps(self) -> np.ndarray:
        """How many consecutive samples can have a weight, ``(n,)``."""
        return np.minimum(np.ceil(2 * self.support() - 1e-9), self.high - self.low)

    def starts(self, centres: np.ndarray) -> np.ndarray:
        """The first of them for each centre ``(n, O, R)``."""
        support, low, last = (value[:, None, None] for value in (self.support(), self.low, self.high - self.taps()))
        return np.floor(centres - support + 0.5).clip(low, last)

    def inputs(self, outputs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Samples ``(n, O, R)`` of the output with weights, as samples ``(n, O, R*taps)`` of the input with theirs."""
        centres = self.centres(outputs)
        if (self.scale**2 == 1).all() and ((self.origin + self.scale / 2) % 1 == 0.5).all():  # shifts by whole samples
            return np.floor(centres).clip(self.low[:, None, None], self.high[:, None, None] - 1), weights
        samples = self.starts(centres)[..., None] + np.arange(self.taps().max())
        support, high = (value[:, None, None, None] for value in (self.support(), self.high))
        triangle = np.maximum(1 - np.abs(samples + 0.5 - centres[..., None]) / support, 0) * (samples < high)
        triangle /= triangle.sum(-1, keepdims=True)
        shape = (*outputs.shape[:2], -1)
        return samples.reshape(shape), (weights[..., None] * triangle).reshape(shape)


class Canvas(NamedTuple):
    """``resampling.place`` along one axis for n pictures: ``offset`` and ``samples`` (of the picture) float64 ``(n,)``."""

    offset: np.ndarray
    samples: np.ndarray
    mode: str

    def inputs(self, outputs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Samples ``(n, O, R)`` of the canvas with weights, as samples ``(n, O, 2R)`` of the picture with theirs."""
        last = self.samples[:, None, None] - 1
        positions = outputs - self.offset[:, None, None]
        lower = np.floor(positions)
        fraction = positions - lower
        samples = np.concatenate([lower, lower + 1], -1)
        weights = np.concatenate([weights * (1 - fraction), weights * fraction], -1)
        if self.mode == "constant":
            weights = weights * ((samples >= 0) & (samples <= last))
        elif self.mode != "edge":
            edge = 1 if self.mode == "symmetric" else 0
            samples = samples % np.maximum(2 * last + 2 * edge, 1)
            samples = np.minimum(samples, 2 * last + edge - samples)
        return samples.clip(0, last), weights


def stages(
    slots: Sequence[Sequence[Drawn] | Sequence[Placed]],
    number: int,
    pictures: np.ndarray,
    spacing: np.ndarray,
    spacing_out: float,
) -> list[Stage | Canvas]:
    """What each step does along one axis (0: down, 1: across) of one plane: ``Drawn.on`` and ``Placed.on`` for n pictures.

    ``slots[k]`` holds the k-th step of each picture; ``pictures`` (n,) their lengths in pixels; ``spacing`` (n,) the distance
    of the plane's samples in pixels, ``spacing_out`` that of the result's.
    """
    made: list[Stage | Canvas] = []
    for slot in slots:
        samples = np.ceil(pictures / spacing - 1e-9)
        if isinstance(slot[0], Placed):
            if (spacing != spacing_out).any():  # first to the grid of the result
                made.append(
                    _stage(
                        0 * pictures, pictures, pictures, np.full(len(pictures), False), samples, spacing, spacing_out
                    )
                )
                samples = np.ceil(pictures / spacing_out)
            offset = np.array([step[number] for step in slot], dtype=np.float64)
            made.append(Canvas(offset / spacing_out, samples, slot[0].mode))
            size = np.array([step.size[number] for step in slot], dtype=np.float64)
        else:
            rows = np.array([(step[number], step[2 + number], step.size[number]) for step in slot], dtype=np.float64)
            start, length, size = rows.T
            backwards = np.array([step.mirror if number else step.flip for step in slot])
            made.append(_stage(start, length, size, backwards, samples, spacing, spacing_out))
        pictures, spacing = size, np.full(len(pictures), spacing_out)
    return made


def _stage(
    start: np.ndarray,
    length: np.ndarray,
    size: np.ndarray,
    backwards: np.ndarray,
    samples: np.ndarray,
    spacing: np.ndarray,
    spacing_out: float,
) -> Stage:
    """``separable.box_to_size`` along one axis."""
    low, high = start / spacing, (start + length) / spacing
    scale = length * spacing_out / (spacing * size)
    first, last = np.maximum(np.floor(low + 1e-9), 0), np.minimum(np.ceil(high - 1e-9), samples)
    return Stage(np.where(backwards, high, low), np.where(backwards, -scale, scale), first, last)
