"""Draw the pictures of docs/transforms.md: each transform, its twin on pixels, and their difference; and write its figures.

Usage: python experiments/gallery.py [FOLDER]         (default: docs/pictures, and the tables of docs/transforms.md)

Ours: the photograph as 4:2:0 coefficients, transformed, shown by the inverse transform. The twin: torchvision's function of
the same name on the RGB pixels of those coefficients. Both show chroma at half the resolution of luma, its samples repeated,
so most of what is left of an exact transform is that colours are moved at another resolution; the difference of luma says
what the transform itself does. The photographs (china.jpg and flower.jpg, CC BY 2.0) come with scikit-learn.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import sklearn
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as pixel

import dctnet
from dctnet.bands import bands_of
from dctnet.benchmarks.transforms import COLOUR, GEOMETRIC, SIZE, doubled, rgb
from dctnet.coefficients import Coefficients
from dctnet.transforms import CenterCrop, Compose, Resize
from dctnet.transforms import functional as F

ROOT = Path(__file__).resolve().parents[1]
MAGNIFIED = 8
LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]
Twin = tuple[Callable[[Coefficients], Coefficients], Callable[[Tensor], Tensor]]


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
    geometric = {
        name: (ours, lambda image, twin=theirs or (lambda p: pixel.adjust_sharpness(p, 1.7)): twin(image - 128) + 128)
        for name, (ours, theirs) in GEOMETRIC.items()
        if "sharpness" not in name
    }
    colour = {
        name: (ours, lambda image, twin=theirs: twin(image.clamp(0, 255).round().to(torch.uint8)).double())
        for name, (ours, theirs) in COLOUR.items()
    }
    tones = ("autocontrast", "equalize", "posterize to 4 bits", "solarize from 128")
    noise = torch.Generator().manual_seed(0)
    return {
        "geometric": {name: geometric[name] for name in geometric if "blur" not in name},
        "colour": {name: colour[name] for name in colour if name not in tones},
        "tone": {name: colour[name] for name in tones},
        "detail": {
            "blur, sigma 1.5": geometric["blur, sigma 1.5"],
            "sharpness 1.7": (
                lambda c: F.adjust_sharpness(c, 1.7),
                lambda p: pixel.adjust_sharpness(p.clamp(0, 255).round().to(torch.uint8), 1.7).double(),
            ),
            "spectral sharpness 0.5 (no twin)": (lambda c: F.spectral_sharpness(c, 0.5), lambda p: p),
            "noise, sigma 20 (no twin)": (lambda c: F.gaussian_noise(c, sigma=20.0, generator=noise), lambda p: p),
        },
        "boxes": {
            "erase at (51, 77)": (
                lambda c: F.erase(c, 51, 77, 90, 101, 128),
                lambda p: pixel.erase(p, 51, 77, 90, 101, 128.0),
            ),
            "CutMix at (51, 77)": (cut, pasted),
            "MixUp, 0.6": (mixed, lambda p: 0.6 * p + 0.4 * shown(other)),
        },
        "frequencies": {
            "64 bands of 192 (no twin)": (kept(64), lambda p: p),
            "24 bands of 192 (no twin)": (kept(24), lambda p: p),
            "6 bands of 192 (no twin)": (kept(6), lambda p: p),
            "zigzag-16 (no twin)": (kept("zigzag-16"), lambda p: p),
            "98 % of the energy (no twin)": (lambda c: F.keep_energy(c, 98.0), lambda p: p),
            "JPEG quality 10 (no twin)": (lambda c: F.jpeg_quality(c, 10), lambda p: p),
        },
    }


def sheet(path: Path, rows: dict[str, Twin], planes: Coefficients) -> list[dict]:
    """One contact sheet, and the figures of its rows in gray levels."""
    figure, axes = plt.subplots(len(rows), 3, figsize=(7.2, 2.45 * len(rows)), squeeze=False, layout="constrained")
    figures = []
    for number, (name, (ours, theirs)) in enumerate(rows.items()):
        left, right = shown(ours(planes)), theirs(shown(planes))
        height, width = right.shape[-2:]
        left, right = left[:, :height, :width].clamp(0, 255), right.clamp(0, 255)
        apart = (left - right).abs()
        luma = float(((left - right) * LUMA).sum(0).abs().mean())
        titles = (
            name,
            "the photograph" if "no twin" in name else "on pixels",
            f"difference x{MAGNIFIED}: mean {apart.mean():.2f}",
        )
        for axis, image, title in zip(axes[number], (left, right, apart * MAGNIFIED), titles, strict=True):
            axis.imshow(image.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
            axis.set_title(title, fontsize=9)
            axis.axis("off")
        figures.append({"transform": name, "mean": float(apart.mean()), "luma": luma})
    figure.savefig(path, dpi=90, pil_kwargs={"quality": 78, "optimize": True})
    plt.close(figure)
    return figures


def page(text: str, figures: dict[str, list[dict]]) -> str:
    """The page with its tables made anew: they stand between ``<!-- NAME -->`` and ``<!-- end -->``."""

    def table(match: re.Match) -> str:
        lines = ["| transform | mean difference, RGB | of luma |", "|---|---:|---:|"]
        lines += [f"| {row['transform']} | {row['mean']:.2f} | {row['luma']:.2f} |" for row in figures[match[1]]]
        return f"<!-- {match[1]} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    planes = photograph("china.jpg")
    figures = {
        name: sheet(folder / f"{name}.jpg", rows, planes) for name, rows in families(photograph("flower.jpg")).items()
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    if not arguments:
        document = ROOT / "docs" / "transforms.md"
        document.write_text(page(document.read_text(), figures))


if __name__ == "__main__":
    main(sys.argv[1:])
