"""Augmentations on coefficients, and their twins of torchvision on RGB pixels.

``TWINS`` has for each name what stands behind the crop and the flip on either side, with the same settings; None where
torchvision has nothing of the kind. ``PixelChain`` makes what a pixel network reads: the file is decoded to RGB in 8 bits,
torchvision crops, flips and augments it, and the result goes to the network as samples of Y, Cb and Cr, chroma at half the
resolution as in the files, so that both sides differ in the augmentation alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

from dctnet import transforms as ours
from dctnet.coefficients import Coefficients
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.pixels import to_pixels
from dctnet.transforms.policy import Transform

GRAY = 128
BILINEAR = {"interpolation": InterpolationMode.BILINEAR}

Side = Callable[[int], Sequence]  # of pictures of so many pixels a side


def jittered(**ranges: float) -> tuple[Side, Side]:
    """Both sides of a ColorJitter."""
    return lambda n: [ours.ColorJitter(**ranges)], lambda n: [v2.ColorJitter(**ranges)]


def named(name: str, *arguments: float, **options: float) -> tuple[Side, Side]:
    """A transform that has one name and one list of arguments on both sides."""
    return lambda n: [getattr(ours, name)(*arguments, **options)], lambda n: [getattr(v2, name)(*arguments, **options)]


def noise(sigma: float) -> tuple[Side, Side]:
    """Gaussian noise of ``sigma`` gray levels on R, G and B: what it is on Y, and on Cb and Cr of half the resolution; itself."""
    planes = (0.669 * sigma, 0.312 * sigma, 0.329 * sigma)  # see transforms.noise
    floats = [
        v2.ToDtype(torch.float32, scale=True),
        v2.GaussianNoise(0.0, sigma / 255),
        v2.ToDtype(torch.uint8, scale=True),
    ]
    return lambda n: [ours.GaussianNoise(sigma=planes)], lambda n: floats


def three(n: int) -> list:
    """3-Augment of torchvision's transforms, as ``ThreeAugment`` has it."""
    one = [v2.RandomGrayscale(1.0), v2.RandomSolarize(GRAY, 1.0), v2.GaussianBlur(13, (0.1, 2.0))]
    return [v2.RandomChoice(one), v2.ColorJitter(0.3, 0.3, 0.3)]


BLOCKS = ours.Reblock(8)  # what weighs single frequencies was made for them; blocks of 2 have but four, and no middle
AFFINE = {"degrees": 10, "translate": (0.1, 0.1), "scale": (0.9, 1.1), "shear": 8, "fill": GRAY}
TWINS: dict[str, tuple[Side, Side | None]] = {
    "none": (lambda n: [], lambda n: []),
    "rotation": (
        lambda n: [ours.RandomRotation(15, fill=GRAY)],
        lambda n: [v2.RandomRotation(15, fill=GRAY, **BILINEAR)],
    ),
    "affine": (lambda n: [ours.RandomAffine(**AFFINE)], lambda n: [v2.RandomAffine(**AFFINE, **BILINEAR)]),
    "shift": (
        lambda n: [ours.RandomCrop(n, padding=n // 8, fill=GRAY)],
        lambda n: [v2.RandomCrop(n, padding=n // 8, fill=GRAY)],
    ),
    "color": jittered(brightness=0.4, contrast=0.4, saturation=0.4),
    "hue": jittered(hue=0.1),
    "grayscale": named("RandomGrayscale", 0.2),
    "invert": named("RandomInvert", 0.2),
    "autocontrast": named("RandomAutocontrast", 0.5),
    "equalize": named("RandomEqualize", 0.2),
    "posterize": named("RandomPosterize", 4, 0.5),
    "solarize": named("RandomSolarize", GRAY, 0.2),
    "sharpness": named("RandomAdjustSharpness", 2, 0.5),
    "blur": named("GaussianBlur", 3, (0.1, 1.0)),
    "noise": noise(8.0),
    "erasing": named("RandomErasing", 0.5, value=GRAY),
    "cutout": (
        lambda n: [ours.Cutout(n // 4)],
        lambda n: [v2.RandomErasing(1.0, (1 / 16, 1 / 16), (1.0, 1.0), value=GRAY)],
    ),
    "randaugment": (
        lambda n: [ours.RandAugment(fill=GRAY)],
        lambda n: [v2.RandAugment(fill=GRAY, **BILINEAR)],
    ),
    "trivialaugment": (
        lambda n: [ours.TrivialAugmentWide(fill=GRAY)],
        lambda n: [v2.TrivialAugmentWide(fill=GRAY, **BILINEAR)],
    ),
    "threeaugment": (lambda n: [ours.ThreeAugment()], three),
    "chroma_drop": (lambda n: [ours.RandomChromaDrop(0.2)], None),
    "frequencies": (lambda n: [BLOCKS, ours.FrequencyEnhancement((0.5, 1.5))], None),
    "spectral_sharpness": (lambda n: [BLOCKS, ours.SpectralSharpness((-0.3, 0.3))], None),
    "middle_frequencies": (lambda n: [BLOCKS, ours.MidFrequencyAugmentation((-0.3, 0.3))], None),
}


def on_coefficients(name: str, size: int) -> list[Transform]:
    """What stands behind the crop and the flip on coefficients, in blocks of any size. ValueError for a name that is none."""
    return list(_twins(name)[0](size))


def on_pixels(name: str, size: int) -> list:
    """The same on RGB pixels. ValueError where torchvision has no such transform."""
    twin = _twins(name)[1]
    if twin is None:
        raise ValueError(f"torchvision has no twin of {name}; it is for coefficients alone")
    return list(twin(size))


def _twins(name: str) -> tuple[Side, Side | None]:
    if name not in TWINS:
        raise ValueError(f"the augmentations are {', '.join(TWINS)}; got {name!r}")
    return TWINS[name]


class PixelChain:
    """A file to planes of samples (block size 1, 4:2:0) by torchvision's ``transforms`` on its RGB pixels, uint8 (3, H, W).

    torchvision draws from the global generator, which is set by ``generator`` here and afterwards put back: what a sample becomes
    hangs on its key alone, as it does on coefficients.
    """

    def __init__(self, transforms: Sequence):
        self.chain = v2.Compose(list(transforms))

    def __call__(self, image: JPEGImage, generator: torch.Generator | None = None) -> Coefficients:
        with torch.random.fork_rng(devices=[]):
            if generator is not None:
                torch.manual_seed(torch.randint(2**62, (), generator=generator).item())
            return samples(self.chain(to_pixels(image)))


def samples(rgb: Tensor) -> Coefficients:
    """RGB in 0..255 (3, H, W) as samples of Y, Cb and Cr around zero, by JFIF's matrix; chroma the mean of each 2x2."""
    red, green, blue = rgb.to(torch.float32)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack([(blue - y) / 1.772, (red - y) / 1.402])
    cb, cr = F.avg_pool2d(chroma, 2)
    return Coefficients(y[None] - GRAY, cb[None], cr[None])
