"""Pictures in RGB and their planes, by an explicit matrix in float64, for the tests of transforms of values."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dctnet import dct
from dctnet.coefficients import Coefficients, block_sizes

# ITU-T T.871: R, G, B to Y, Cb, Cr, chroma centred on zero.
TO_YCBCR = torch.tensor(
    [
        [0.299, 0.587, 0.114],
        [-0.299 / 1.772, -0.587 / 1.772, 0.5],
        [0.5, -0.587 / 1.402, -0.114 / 1.402],
    ],
    dtype=torch.float64,
)
TO_RGB = torch.linalg.inv(TO_YCBCR)


def planes_of(rgb, block_size=8, spacing=1):
    """The planes of gray levels ``(..., 3, H, W)``: chroma averaged over ``spacing``, last blocks filled by repetition."""
    samples = torch.einsum("pc,...chw->...phw", TO_YCBCR, rgb)
    planes = []
    for number, b in zip(range(3), (*block_sizes(block_size), block_sizes(block_size)[1]), strict=True):
        plane = samples[..., number : number + 1, :, :] - (128 if number == 0 else 0)
        if number and spacing > 1:
            plane = torch.nn.functional.avg_pool2d(plane, spacing)
        plane = torch.nn.functional.pad(plane, (0, -plane.shape[-1] % b, 0, -plane.shape[-2] % b), "replicate")
        planes.append(dct.block_dct(plane[..., 0, :, :], b))
    return Coefficients(*planes)


def rgb_of(planes, size):
    """Gray levels ``(..., 3, H, W)`` of planes, each chroma sample repeated where luma is finer; not clamped."""
    samples = [dct.block_idct(plane) for plane in planes]
    step = 2 if samples[1].shape[-2] * 2 - size[0] < samples[1].shape[-2] // 2 else 1
    chroma = [plane.repeat_interleave(step, -2).repeat_interleave(step, -1) for plane in samples[1:]]
    stacked = torch.stack([plane[..., : size[0], : size[1]] for plane in (samples[0] + 128, *chroma)], -3)
    return torch.einsum("cp,...phw->...chw", TO_RGB, stacked)


def random_rgb(size, low=0, high=255, seed=0, count=()):
    """Uniform colours between ``low`` and ``high``, in float64."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*count, 3, *size, dtype=torch.float64, generator=generator)


def photographs(real_data: Path, count=24, side=224):
    """The centres of ``count`` colour photographs as gray levels ``(count, 3, side, side)`` in float64."""
    found = []
    for path in sorted((real_data / "imagenet_samples").glob("*.jpg")):
        with Image.open(path) as image:
            if image.mode != "RGB" or min(image.size) < side:
                continue
            left, top = (image.width - side) // 2, (image.height - side) // 2
            found.append(torch.from_numpy(np.array(image.crop((left, top, left + side, top + side)))))
        if len(found) == count:
            break
    return torch.stack(found).permute(0, 3, 1, 2).to(torch.float64)


def photograph(height, width, seed=0):
    """A picture made up: slow waves of colour with texture on them, levels 40 to 220, far from what decoders clamp."""
    v, u = np.mgrid[:height, :width]
    waves = np.stack([np.sin(v / 9 + u / 23), np.cos(v / 31 - u / 11), np.sin(u / 17) * np.cos(v / 13)], -1)
    texture = np.random.default_rng(seed).normal(0, 6, (height, width, 1))
    return Image.fromarray((130 + 60 * waves + texture).clip(40, 220).round().astype(np.uint8))
