"""Tone curves of luma: autocontrast, equalize, posterize and solarize.

A curve that is not linear acts on samples: luma goes through the block inverse DCT, the curve, and the block DCT again. No
upsampling, no conversion of colour, no file: chroma stays as it is. Of gray pictures whose samples are whole numbers
0..255 the results are torchvision's, exactly. Of colour they are approximations, because torchvision takes R, G and B through
the curve one by one; each docstring gives the mean deviation from torchvision's RGB over 24 photographs of 224x224 in 4:4:4
(``tests/test_tone.py`` prints them), beside what the transform changes at all.

Samples are looked up as a file of pixels would hold them: rounded and clamped to 0..255. Minimum, maximum and histogram are
those of the picture (``grid.size``; default: all of the planes), what fills the last blocks goes through the curve with it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dctnet.arguments import finite, whole
from dctnet.coefficients import Coefficients, Grid, block_size, infer_grid
from dctnet.dct import block_dct, block_idct
from dctnet.transforms.chance import Chance
from dctnet.transforms.per_sample import Number, check_range, check_whole, computed_wide, per_sample


def _gray_levels(plane: Tensor) -> Tensor:
    """The samples of luma, 0..255, where the planes hold a picture."""
    return block_idct(plane) + 128


def _luma(coefficients: Coefficients, samples: Tensor) -> Coefficients:
    return coefficients._replace(y=block_dct(samples - 128, block_size(coefficients.y)))


def _whole(plane: Tensor) -> Tensor:
    """The samples of luma as pixels hold them."""
    return _gray_levels(plane).round_().clamp_(0, 255)


def _inside(samples: Tensor, coefficients: Coefficients, grid: Grid | None) -> Tensor:
    height, width = (grid or infer_grid(coefficients)).size
    return samples[..., :height, :width]


@computed_wide
def autocontrast(coefficients: Coefficients, *, grid: Grid | None = None) -> Coefficients:
    """Luma stretched so that its darkest sample is 0 and its brightest 255; a picture of one gray stays as it is.

    On photographs 1.2 gray levels off, changed by 2.2. To stretch chroma alike is 1.5 off. Differentiable.
    """
    samples = block_idct(coefficients.y)
    inside = _inside(samples, coefficients, grid)
    low, high = inside.amin((-2, -1), keepdim=True), inside.amax((-2, -1), keepdim=True)
    flat = high - low < 1e-3  # what float32 leaves of one gray
    gain = 255 / (high - low).masked_fill(flat, 255)
    return _luma(coefficients, (samples - low.masked_fill(flat, -128)) * gain)


@computed_wide
def equalize(coefficients: Coefficients, *, grid: Grid | None = None) -> Coefficients:
    """Luma through the curve that makes its histogram flat, with the rounding of Pillow and torchvision.

    On photographs 16 gray levels off, changed by 40. The gradient is zero.
    """
    samples = _whole(coefficients.y)
    level = samples.long()
    counted = _inside(level, coefficients, grid).flatten(-2)
    histogram = torch.zeros(*counted.shape[:-1], 256, dtype=torch.int64, device=counted.device)
    histogram.scatter_add_(-1, counted, torch.ones_like(counted))
    below = histogram.cumsum(-1) - histogram  # how many samples are darker than each level
    brightest = histogram.gather(-1, (histogram.cumsum(-1)).argmax(-1, keepdim=True))
    step = (counted.shape[-1] - brightest) // 255
    curve = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    curve = curve.where(step > 0, torch.arange(256, device=curve.device))  # as good as one gray: left as it is
    return _luma(coefficients, curve.to(samples.dtype).gather(-1, level.flatten(-2)).view_as(level))


@computed_wide
def posterize(coefficients: Coefficients, bits: int | Tensor) -> Coefficients:
    """The upper ``bits`` of the 8 bits of luma, 0 to 8 (ValueError); 8 leaves the picture as it is.

    On photographs to 4 bits 4.8 gray levels off, changed by 7.5. The gradient is zero for fewer than 8 bits.
    """
    check_whole("bits", bits, 0, 8)
    samples = _whole(coefficients.y)
    step = 2 ** (8 - per_sample(bits, coefficients.y)[..., 0])
    kept = (samples / step).floor_() * step
    if not isinstance(bits, Tensor):
        return coefficients if bits == 8 else _luma(coefficients, kept)
    return _luma(coefficients, torch.where(step > 1, kept, _gray_levels(coefficients.y)))


@computed_wide
def solarize(coefficients: Coefficients, threshold: Number, *, grid: Grid | None = None) -> Coefficients:
    """The samples of luma at ``threshold`` or above, at most 255 (ValueError), become 255 - x; their chroma changes sign.

    A chroma sample that covers several of luma is multiplied by 1 - 2 a, a the part of them that is inverted.
    On photographs from 128 on 5.3 gray levels off, changed by 27. Differentiable, but for the jump.
    """
    check_range("threshold", threshold, float("-inf"), 255)
    samples = _gray_levels(coefficients.y)
    inverted = _whole(coefficients.y.detach()).ge_(per_sample(threshold, coefficients.y)[..., 0])  # 0 and 1
    luma = _luma(coefficients, samples + inverted * (255 - 2 * samples))
    spacing = (grid or infer_grid(coefficients)).spacing
    chroma, gain, shared = [], None, None
    for plane, (vertical, horizontal) in zip(coefficients[1:], spacing[1:], strict=True):
        values = block_idct(plane)
        if shared != (values.shape, vertical, horizontal):  # Cb and Cr mostly have one grid
            shared = values.shape, vertical, horizontal
            share = _share(inverted, values.shape[-2:], (float(vertical), float(horizontal)))
            gain = (1 - 2 * share).to(values.dtype)
        chroma.append(block_dct(values * gain, block_size(plane)))
    return Coefficients(luma.y, *chroma)


def _share(mask: Tensor, samples: tuple[int, int], spacing: tuple[float, float]) -> Tensor:
    """The part of the mask ``(..., H, W)``, 0 and 1, under each of the ``samples`` (rows, columns) of a coarser plane."""
    if spacing == (2, 2) and (2 * samples[0], 2 * samples[1]) == mask.shape[-2:]:
        rows = mask[..., ::2, :] + mask[..., 1::2, :]
        return (rows[..., ::2] + rows[..., 1::2]) / 4
    share = mask.double()
    for axis, count, step in ((-2, samples[0], spacing[0]), (-1, samples[1], spacing[1])):
        total = torch.nn.functional.pad(share.transpose(axis, -1).cumsum(-1), (1, 0))
        edges = (torch.arange(count + 1, dtype=torch.float64, device=mask.device) * step).clamp(max=mask.shape[axis])
        low = edges.floor().long()
        high = (low + 1).clamp(max=mask.shape[axis])
        at = total[..., low] + (edges - low) * (total[..., high] - total[..., low])
        width = edges.diff().clamp(min=1e-9)  # samples wholly beyond the luma plane cover none of it
        share = (at.diff(dim=-1) / width).transpose(axis, -1)
    return share


class RandomAutocontrast(Chance):
    """``autocontrast`` with probability ``p``."""

    any_blocks = True
    on_samples = True, False

    def __init__(self, p: float = 0.5):
        super().__init__(p)

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return autocontrast(coefficients, grid=infer_grid(coefficients, size))


class RandomEqualize(Chance):
    """``equalize`` with probability ``p``."""

    any_blocks = True
    on_samples = True, False

    def __init__(self, p: float = 0.5):
        super().__init__(p)

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return equalize(coefficients, grid=infer_grid(coefficients, size))


class RandomPosterize(Chance):
    """``posterize`` to ``bits`` with probability ``p``."""

    any_blocks = True
    on_samples = True, False

    def __init__(self, bits: int, p: float = 0.5):
        super().__init__(p)
        self.bits = whole("bits", bits, 0, 8)

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return posterize(coefficients, self.bits)


class RandomSolarize(Chance):
    """``solarize`` from ``threshold`` on with probability ``p``."""

    any_blocks = True
    on_samples = True, True

    def __init__(self, threshold: float, p: float = 0.5):
        super().__init__(p)
        finite("threshold", threshold, high=255)
        self.threshold = threshold

    def change(self, coefficients: Coefficients, size: tuple[int, int]) -> Coefficients:
        return solarize(coefficients, self.threshold, grid=infer_grid(coefficients, size))
