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
from torchvision.transforms.v2 import functional as pixel

import dctnet
from dctnet.bands import bands_of
from dctnet.benchmarks.transforms import COLOUR, GEOMETRIC, SIZE, doubled, rgb
from dctnet.coefficients import Coefficients
from dctnet.transforms import CenterCrop, Compose, Resize
from dctnet.transforms import functional as F

ROOT = Path(__file__).resolve().parents[1]
MAGNIFIED = {"detail": 4, "frequencies": 4}  # how much the difference is magnified, else 8
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
    height, width = (side * 8 for side in planes.y.shape[-2:])
    chroma = [doubled(plane) for plane in planes[1:]]
    rows, columns = (-(-side // 8) for side in (height, width))
    return rgb(Coefficients(planes.y, *(plane[..., :rows, :columns] for plane in chroma)))


def ours(transform: Callable[[Coefficients], Coefficients]) -> Callable[[Coefficients], Tensor]:
    """The transform, shown."""
    return lambda planes: shown(transform(planes))


def clamped(transform: Callable[[Coefficients], Coefficients]) -> Callable[[Coefficients], Tensor]:
    """The transform, shown and clamped as its twin clamps."""
    return lambda planes: shown(transform(planes)).clamp(0, 255)


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


def families(other: Coefficients) -> dict[str, dict[str, Twin]]:
    """What is shown, sheet by sheet. Twins take and give gray levels."""

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
    moved = {
        name: (ours(transform), lambda image, twin=twin: twin(image - 128) + 128)
        for name, (transform, twin) in GEOMETRIC.items()
        if twin is not None
    }
    warped = ("rotate by 17", "shear x by 12", "translate by (9, 20)", "affine")
    tones = ("autocontrast", "equalize", "posterize to 4 bits", "solarize from 128")
    noise = torch.Generator().manual_seed(0)
    alone = {
        "64 bands of 192": kept(64),
        "24 bands of 192": kept(24),
        "6 bands of 192": kept(6),
        "zigzag-16": kept("zigzag-16"),
        "98 % of the energy": lambda c: F.keep_energy(c, 98.0),
        "JPEG quality 10": lambda c: F.jpeg_quality(c, 10),
    }
    return {
        "geometric": {name: moved[name] for name in moved if name not in (*warped, "blur, sigma 1.5")},
        "affine": {name: moved[name] for name in warped},
        "colour": {n: (clamped(change), on_unit(twin)) for n, (change, twin) in COLOUR.items() if n not in tones},
        "tone": {name: (clamped(COLOUR[name][0]), on_bytes(COLOUR[name][1])) for name in tones},
        "detail": {
            "blur, sigma 1.5": moved["blur, sigma 1.5"],
            "sharpness 1.7": (
                clamped(lambda c: F.adjust_sharpness(c, 1.7)),
                on_unit(lambda p: pixel.adjust_sharpness(p, 1.7)),
            ),
            f"spectral sharpness 0.5{ALONE}": (ours(lambda c: F.spectral_sharpness(c, 0.5)), lambda p: p),
            f"noise, sigma 20{ALONE}": (ours(lambda c: F.gaussian_noise(c, sigma=20.0, generator=noise)), lambda p: p),
        },
        "boxes": {
            "erase at (51, 77)": (
                ours(lambda c: F.erase(c, 51, 77, 90, 101, 128)),
                lambda p: pixel.erase(p, 51, 77, 90, 101, 128.0),
            ),
            "CutMix at (51, 77)": (ours(cut), pasted),
            "MixUp, 0.6": (ours(mixed), lambda p: 0.6 * p + 0.4 * shown(other)),
        },
        "frequencies": {f"{name}{ALONE}": (ours(change), lambda p: p) for name, change in alone.items()},
    }


def sheet(path: Path, rows: dict[str, Twin], planes: Coefficients, magnified: int) -> list[dict]:
    """One contact sheet, and the figures of its rows in gray levels."""
    high = 2.5 * len(rows)
    figure, axes = plt.subplots(len(rows), 3, figsize=(7.2, high), squeeze=False)
    figure.subplots_adjust(0.012, 0.05 / high, 0.988, 1 - 0.3 / high, wspace=0.06, hspace=0.14)
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
        lines = ["| transform | mean difference, RGB | largest | mean, luma | largest |", "|---|---:|---:|---:|---:|"]
        for row in figures[match[1]]:
            cells = (gray_levels(row[key]) for key in ("mean", "max", "luma", "luma_max"))
            lines.append(f"| {' | '.join((row['transform'], *cells))} |")
        return f"<!-- {match[1]} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    planes = photograph("china.jpg")
    figures = {
        name: sheet(folder / f"{name}.jpg", rows, planes, MAGNIFIED.get(name, 8))
        for name, rows in families(photograph("flower.jpg")).items()
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    if not arguments:
        document = ROOT / "docs" / "transforms.md"
        document.write_text(page(document.read_text(), figures))


if __name__ == "__main__":
    main(sys.argv[1:])
