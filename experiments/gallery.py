"""Draw the pictures of docs/transforms.md: each transform, its twin on pixels, and their difference; and write its figures.

Usage: python experiments/gallery.py [FOLDER]         (default: docs/pictures, and the tables of docs/transforms.md)

Ours: the photograph as 4:2:0 coefficients, transformed, shown by the inverse transform. The twin: torchvision's function of
the same name on the RGB pixels of those coefficients, in float64 but for tone curves, which it has for 8 bits. Both show chroma
at half the resolution of luma, its samples repeated, so most of what is left of an exact transform is that colours are moved at
another resolution; the difference of luma says what the transform itself does. Where the twin clamps to 0..255, ours is clamped
before they are compared; elsewhere luma is compared as it is. The photographs (china.jpg and flower.jpg, CC BY 2.0) come with
scikit-learn.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as pixel

import dctnet
from dctnet.bands import bands_of
from dctnet.benchmarks.transforms import COLOUR, GEOMETRIC, SIZE, doubled, rgb
from dctnet.coefficients import Coefficients, block_size
from dctnet.dct import block_dct, block_idct
from dctnet.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Cutout,
    Normalize,
    Quantize,
    RandAugment,
    RandomApply,
    RandomChoice,
    RandomCrop,
    RandomHorizontalFlip,
    RandomInvert,
    RandomResizedCrop,
    Resize,
    Rotate,
    ThreeAugment,
    TrivialAugmentWide,
)
from dctnet.transforms import functional as F
from dctnet.transforms.policy import Transform

ROOT = Path(__file__).resolve().parents[1]
MAGNIFIED = {"spectrum": 4, "frequencies": 4, "steps": 4, "noise": 2, "policies": 4}  # the difference, else by 8
COLOURED_EDGES = (
    "Differences stand at the edges of colours: chroma moves at half the resolution, by half pixels. Luma has none."
)
NOTES = dict.fromkeys(("geometric", "crops", "affine"), COLOURED_EDGES) | {
    "noise": "Two draws of one distribution, then ours beside the photograph.",
    "policies": "One state of the generator, so one choice. The pixels are 8 bits, clamped after each step; ours once, here.",
}
# The public names that each row shows.
SHOWS: dict[str, tuple[str, ...]] = {
    "crop at (13, 21)": (),
    "resized crop": ("RandomResizedCrop",),
    "resize to 128": ("Resize",),
    "horizontal flip": ("RandomHorizontalFlip",),
    "vertical flip": ("RandomVerticalFlip",),
    "pad by 12, reflect": ("Pad",),
    "rotate by 90": ("Rotate",),
    "center crop of 122": ("CenterCrop",),
    "random crop, padded": ("RandomCrop",),
    "blocks of 16": ("Reblock",),
    "rotate by 17": ("Rotate", "RandomRotation"),
    "shear x by 12": ("Affine", "RandomAffine"),
    "shear y by 9": ("Affine", "RandomAffine"),
    "translate by (9, 20)": ("Translate", "Affine"),
    "affine": ("Affine", "RandomAffine"),
    "brightness 1.3": ("ColorJitter",),
    "contrast 1.3": ("ColorJitter",),
    "saturation 1.3": ("ColorJitter",),
    "hue 0.05": ("ColorJitter",),
    "invert": ("RandomInvert",),
    "grayscale": ("RandomGrayscale",),
    "without Cb": ("RandomChromaDrop",),
    "autocontrast": ("RandomAutocontrast",),
    "equalize": ("RandomEqualize",),
    "posterize to 4 bits": ("RandomPosterize",),
    "solarize from 128": ("RandomSolarize",),
    "blur, sigma 1.5": ("GaussianBlur",),
    "sharpness 1.7": ("RandomAdjustSharpness",),
    "spectral sharpness 0.5": ("SpectralSharpness",),
    "frequencies by 1.5": ("FrequencyEnhancement",),
    "middle frequencies 0.75": ("MidFrequencyAugmentation",),
    "normal noise, sigma 20": ("GaussianNoise",),
    "uniform noise, sigma 20": ("UniformNoise",),
    "Laplace noise, sigma 20": ("LaplaceNoise",),
    "erase at (51, 77)": ("RandomErasing",),
    "cutout of 80": ("Cutout",),
    "CutMix at (51, 77)": ("CutMix",),
    "MixUp, 0.6": ("MixUp",),
    "64 bands of 192": ("SelectBands",),
    "24 bands of 192": ("SelectBands",),
    "6 bands of 192": ("SelectBands",),
    "zigzag-16": ("SelectBands",),
    "98 % of the energy": ("KeepEnergy",),
    "8 bits, scales of ImageNet": ("Quantize",),
    "JPEG quality 10": ("JPEGQuality", "RandomJPEGQuality"),
    "deviations of ImageNet, x30": ("Normalize",),
    "RandAugment": ("RandAugment",),
    "TrivialAugmentWide": ("TrivialAugmentWide",),
    "ThreeAugment": ("ThreeAugment",),
    "RandomApply": ("RandomApply",),
    "RandomChoice": ("RandomChoice",),
    "crop, flip, jitter": ("Compose",),
}
LARGEST = 120_000  # bytes of a sheet
ALONE = " (no twin)"
LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]
Twin = tuple[Callable[[Coefficients], Tensor], Callable[[Tensor], Tensor]]  # to RGB, and RGB to RGB, gray levels


def photograph(name: str) -> Coefficients:
    """The middle of a photograph of scikit-learn, as float64 planes."""
    path = Path(sklearn.__file__).parent / "datasets" / "images" / name
    transform = Compose([Resize(SIZE), CenterCrop(SIZE)], block_size=8, dtype=torch.float64)
    return transform(dctnet.read_jpeg(path))


def shown(planes: Coefficients) -> Tensor:
    """RGB (3, H, W) in gray levels, neither rounded nor clamped, chroma samples repeated."""
    height, width = (side * block_size(planes.y) for side in planes.y.shape[-2:])
    chroma = [doubled(plane) for plane in planes[1:]]
    rows, columns = (-(-side // 8) for side in (height, width))
    return rgb(Coefficients(planes.y, *(plane[..., :rows, :columns] for plane in chroma)))


def ours(transform: Callable[[Coefficients], Coefficients]) -> Callable[[Coefficients], Tensor]:
    """The transform, shown."""
    return lambda planes: shown(transform(planes))


def clamped(transform: Callable[[Coefficients], Coefficients]) -> Callable[[Coefficients], Tensor]:
    """The transform, shown and clamped as its twin clamps."""
    return lambda planes: shown(transform(planes)).clamp(0, 255)


def drawn(seed: int, *transforms: Transform) -> Callable[[Coefficients], Coefficients]:
    """The transforms, with what a generator of this seed draws."""
    chain = Compose(transforms, block_size=8, dtype=torch.float64)
    return lambda planes: chain(planes, torch.Generator().manual_seed(seed))


def seeded(seed: int, twin: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A transform of torchvision, with what this seed draws."""

    def run(image: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return twin(image)

    return run


def noised(planes: Coefficients, sigma: float) -> Tensor:
    """The planes with the noise of torchvision on the samples of each, shown."""

    def plane(coefficients: Tensor) -> Tensor:
        samples = block_idct(coefficients)[None] / 255
        return block_dct(pixel.gaussian_noise(samples, 0.0, sigma / 255, clip=False)[0] * 255)

    return shown(planes.map(plane))


def on_unit(twin: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of torchvision that takes floats from 0 to 1 and clamps to them."""
    return lambda image: (twin(image / 255) * 255).clamp(0, 255)


def on_bytes(twin: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of torchvision that takes whole gray levels."""
    return lambda image: twin(image.clamp(0, 255).round().to(torch.uint8)).double()


def kept(bands: object) -> Callable[[Coefficients], Coefficients]:
    """The coefficients outside of a set of bands set to zero."""

    def run(planes: Coefficients) -> Coefficients:
        result = []
        for plane, channels in zip(planes, bands_of(bands), strict=True):
            mask = torch.zeros(64, 1, 1, dtype=plane.dtype)
            mask[list(channels)] = 1
            result.append(plane * mask)
        return Coefficients(*result)

    return run


def policies() -> dict[str, Twin]:
    """What chooses: both sides from one seed."""
    bilinear = {"interpolation": InterpolationMode.BILINEAR}
    three = [v2.RandomGrayscale(1.0), v2.RandomSolarize(128, 1.0), v2.GaussianBlur(13, (0.1, 2.0))]
    pairs: dict[str, tuple[int, list[Transform], Callable[[Tensor], Tensor]]] = {
        "RandAugment": (2, [RandAugment()], v2.RandAugment(**bilinear)),
        "TrivialAugmentWide": (7, [TrivialAugmentWide()], v2.TrivialAugmentWide(**bilinear)),
        "ThreeAugment": (
            0,
            [ThreeAugment()],
            v2.Compose([v2.RandomChoice(three), v2.ColorJitter(0.3, 0.3, 0.3)]),
        ),
        "RandomApply": (1, [RandomApply([RandomInvert(1.0)], 0.9)], v2.RandomApply([v2.RandomInvert(1.0)], 0.9)),
        "RandomChoice": (
            0,
            [RandomChoice([RandomInvert(1.0), Rotate(90)])],
            v2.RandomChoice([v2.RandomInvert(1.0), v2.Lambda(lambda p: pixel.rotate(p, 90))]),
        ),
        "crop, flip, jitter": (
            1,
            [RandomResizedCrop(SIZE), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4)],
            v2.Compose(
                [v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4)]
            ),
        ),
    }
    return {
        name: (clamped(drawn(seed, *transforms)), on_bytes(seeded(seed, twin)))
        for name, (seed, transforms, twin) in pairs.items()
    }


def families(planes: Coefficients, other: Coefficients) -> dict[str, dict[str, Twin]]:
    """What is shown of one photograph, and of another one in mixtures, sheet by sheet. Twins take and give gray levels."""

    def pair(planes: Coefficients) -> Coefficients:
        return Coefficients(*(torch.stack(two) for two in zip(planes, other, strict=True)))

    def mixed(planes: Coefficients) -> Coefficients:
        return F.mixup(pair(planes), torch.tensor([0, 1]), 0.6, 2)[0].map(lambda plane: plane[0])

    def cut(planes: Coefficients) -> Coefficients:
        return F.cutmix(pair(planes), torch.tensor([0, 1]), 51, 77, 90, 101, 2)[0].map(lambda plane: plane[0])

    def pasted(image: Tensor) -> Tensor:
        image = image.clone()
        image[:, 51:141, 77:178] = shown(other)[:, 51:141, 77:178]
        return image

    # Outside of a moved picture our fill is mid-gray, torchvision's zero.
    sheared = (
        lambda c: F.affine(c, shear=(0, 9), fill=128),
        lambda p: pixel.affine(p, 0, [0, 0], 1, [0, 9], InterpolationMode.BILINEAR),
    )
    moved = {
        name: (ours(transform), lambda image, twin=twin: twin(image - 128) + 128)
        for name, (transform, twin) in (GEOMETRIC | {"shear y by 9": sheared}).items()
        if twin is not None
    }
    height, width = shown(planes).shape[-2:]
    cut_out = [int(n) for n in Cutout(80).draw((height, width), torch.Generator().manual_seed(1))]
    warped = ("rotate by 17", "shear x by 12", "shear y by 9", "translate by (9, 20)", "affine")
    tones = ("autocontrast", "equalize", "posterize to 4 bits", "solarize from 128")
    bands = {
        "64 bands of 192": kept(64),
        "24 bands of 192": kept(24),
        "6 bands of 192": kept(6),
        "zigzag-16": kept("zigzag-16"),
        "98 % of the energy": lambda c: F.keep_energy(c, 98.0),
    }
    normalised = drawn(0, Normalize.from_card("imagenet_samples"))
    steps = {
        "8 bits, scales of ImageNet": drawn(0, Quantize.from_card("imagenet_samples")),
        "JPEG quality 10": lambda c: F.jpeg_quality(c, 10),
        "deviations of ImageNet, x30": lambda c: normalised(c).map(lambda plane: 30 * plane),
    }
    spectrum = {
        "spectral sharpness 0.5": lambda c: F.spectral_sharpness(c, 0.5),
        "frequencies by 1.5": lambda c: F.frequency_enhancement(c, 1.5),
        "middle frequencies 0.75": lambda c: F.mid_frequency_augmentation(c, 0.75),
    }
    noises = {"uniform noise, sigma 20": F.uniform_noise, "Laplace noise, sigma 20": F.laplace_noise}

    def noisy(noise: Callable) -> Callable[[Coefficients], Coefficients]:
        return lambda c: noise(c, sigma=20.0, generator=torch.Generator().manual_seed(0))

    def alone(changes: dict[str, Callable[[Coefficients], Coefficients]]) -> dict[str, Twin]:
        return {f"{name}{ALONE}": (ours(change), lambda p: p) for name, change in changes.items()}

    return {
        "geometric": {name: moved[name] for name in moved if name not in (*warped, "blur, sigma 1.5", "sharpness 1.7")},
        "crops": {
            "center crop of 122": (ours(lambda c: F.center_crop(c, 122)), lambda p: pixel.center_crop(p, [122])),
            "random crop, padded": (
                ours(drawn(1, RandomCrop(SIZE, padding=40, fill=128))),
                lambda p: seeded(1, v2.RandomCrop(SIZE, padding=40))(p - 128) + 128,
            ),
            "blocks of 16": (ours(lambda c: F.reblock(c, 16)), lambda p: p),
        },
        "affine": {name: moved[name] for name in warped},
        "colour": {n: (clamped(change), on_unit(twin)) for n, (change, twin) in COLOUR.items() if n not in tones}
        | alone({"without Cb": lambda c: F.drop_chroma(c, 1)}),
        "tone": {name: (clamped(COLOUR[name][0]), on_bytes(COLOUR[name][1])) for name in tones},
        "detail": {
            "blur, sigma 1.5": moved["blur, sigma 1.5"],
            "sharpness 1.7": (
                clamped(lambda c: F.adjust_sharpness(c, 1.7)),
                on_unit(lambda p: pixel.adjust_sharpness(p, 1.7)),
            ),
        },
        "spectrum": alone(spectrum),
        "noise": {
            "normal noise, sigma 20": (ours(noisy(F.gaussian_noise)), seeded(1, lambda p: noised(planes, 20.0))),
            **alone({name: noisy(noise) for name, noise in noises.items()}),
        },
        "boxes": {
            "erase at (51, 77)": (
                ours(lambda c: F.erase(c, 51, 77, 90, 101, 128)),
                lambda p: pixel.erase(p, 51, 77, 90, 101, 128.0),
            ),
            "cutout of 80": (
                ours(drawn(1, Cutout(80))),
                lambda p: pixel.erase(p, *cut_out, torch.tensor(128.0, dtype=p.dtype)),
            ),
            "CutMix at (51, 77)": (ours(cut), pasted),
            "MixUp, 0.6": (ours(mixed), lambda p: 0.6 * p + 0.4 * shown(other)),
        },
        "frequencies": alone(bands),
        "steps": alone(steps),
        "policies": policies(),
    }


def sheet(path: Path, rows: dict[str, Twin], planes: Coefficients, magnified: int, note: str = "") -> list[dict]:
    """One contact sheet with a note below it, and the figures of its rows in gray levels."""
    below = 0.28 if note else 0.05  # inches
    high = 2.5 * len(rows) + below
    figure, axes = plt.subplots(len(rows), 3, figsize=(7.2, high), squeeze=False)
    figure.subplots_adjust(0.012, below / high, 0.988, 1 - 0.3 / high, wspace=0.06, hspace=0.14)
    figure.text(0.5, 0.09 / high, note, ha="center", fontsize=9)
    before = shown(planes)
    figures = []
    for number, (name, (transform, twin)) in enumerate(rows.items()):
        left, right = transform(planes), twin(before)
        height, width = right.shape[-2:]
        left = left[:, :height, :width]
        luma = ((left - right) * LUMA).sum(0).abs()
        left, right = left.clamp(0, 255), right.clamp(0, 255)
        apart = (left - right).abs()
        titles = (
            name.removesuffix(ALONE),
            "the photograph" if name.endswith(ALONE) else "on pixels",
            f"x{magnified}: mean {apart.mean():.2f}, max {apart.max():.{0 if apart.max() >= 10 else 2}f}",
        )
        for axis, image, title in zip(axes[number], (left, right, apart * magnified), titles, strict=True):
            axis.imshow(image.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
            axis.set_title(title, fontsize=11.5)
            axis.axis("off")
        row = {"transform": name, "mean": float(apart.mean()), "max": float(apart.max())}
        figures.append(row | {"luma": float(luma.mean()), "luma_max": float(luma.max())})
    path.write_bytes(compressed(figure))
    plt.close(figure)
    return figures


def compressed(figure: plt.Figure) -> bytes:
    """A JPEG file of the best quality, 85 at most, that keeps to ``LARGEST``."""
    figure.set_dpi(90)
    figure.canvas.draw()
    drawn = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    for quality in range(85, 30, -5):
        file = io.BytesIO()
        drawn.save(file, "JPEG", quality=quality, optimize=True)
        if len(file.getvalue()) <= LARGEST:
            break
    return file.getvalue()


def gray_levels(value: float) -> str:
    """Two decimals, three of small values, and the power of ten of what they would show as nothing."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.0005 else f"{value:.0e}"


def page(text: str, figures: dict[str, list[dict]]) -> str:
    """The page with its tables made anew: they stand between ``<!-- NAME -->`` and ``<!-- end -->``."""

    def table(match: re.Match) -> str:
        lines = ["| transform | shows | mean difference, RGB | largest | mean, luma | largest |"]
        lines.append("|---|---|---:|---:|---:|---:|")
        for row in figures[match[1]]:
            cells = (gray_levels(row[key]) for key in ("mean", "max", "luma", "luma_max"))
            names = ", ".join(f"`{name}`" for name in SHOWS[row["transform"].removesuffix(ALONE)])
            lines.append(f"| {' | '.join((row['transform'], names, *cells))} |")
        return f"<!-- {match[1]} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    planes = photograph("china.jpg")
    figures = {
        name: sheet(folder / f"{name}.jpg", rows, planes, MAGNIFIED.get(name, 8), NOTES.get(name, ""))
        for name, rows in families(planes, photograph("flower.jpg")).items()
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    if not arguments:
        document = ROOT / "docs" / "transforms.md"
        document.write_text(page(document.read_text(), figures))


if __name__ == "__main__":
    main(sys.argv[1:])
