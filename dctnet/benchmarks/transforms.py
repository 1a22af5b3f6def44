"""``dctnet bench transforms FOLDER``: each transform on coefficients beside its namesake of torchvision on decoded pixels.

The pictures are those of a folder, cropped to one size; ours are float32 coefficients of 4:2:0 planes, torchvision's are uint8
RGB tensors, decoded before the clock starts. The error is measured on luma, against torchvision in float64 on the samples behind
the same coefficients, away from the edge of a moved picture (where torchvision weighs the fill twice); for transforms of colour
against torchvision on RGB. ``float64``: the largest difference in gray levels with float64 coefficients; ``float32``: with
float32 ones. A transform that is exact stays below 1e-4 in float64.

What a row runs stands in ``path``: ``one by one`` is the function or the ``Compose`` on each picture, ``batches of 32`` is
``lift_images``, in C++ where that can be. The rows of whole pipelines begin with pictures in their own sizes. torchvision
always goes picture by picture, as its transforms draw for one. ``--device`` names where a batch of them all goes through in
one call. A line on stderr says what is being measured.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as pixel

from dctnet.arguments import whole
from dctnet.benchmarks.files import readable
from dctnet.benchmarks.pairing import Pair, bound, paired
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.coefficients import Coefficients
from dctnet.data.lifted_images import lift_images
from dctnet.dct import block_dct, block_idct
from dctnet.jpeg.pixels import to_pixels
from dctnet.jpeg.reader import read_jpegs
from dctnet.transforms import functional as F
from dctnet.transforms.augment import RandAugment
from dctnet.transforms.batched import plan
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, Resize
from dctnet.transforms.normalize import Normalize

BILINEAR = InterpolationMode.BILINEAR
CARD = "imagenet_samples"  # whose figures normalise
ONE_BY_ONE = "one by one"
GRAY = 128  # zero in every plane, so that torchvision's empty outside is ours
SIZE = 224
BATCH = 32
BATCHES = f"batches of {BATCH}"


def sharpened(image: Tensor, factor: float) -> Tensor:
    """torchvision's sharpness; of floats far from its clamp, which ours does not have."""
    if not image.is_floating_point():
        return pixel.adjust_sharpness(image, factor)
    return pixel.adjust_sharpness((image + 2048) / 4096, factor) * 4096 - 2048


# name: (on coefficients, on samples or RGB). The pixel function takes (..., H, W).
GEOMETRIC: dict[str, tuple[Callable[[Coefficients], Coefficients], Callable[[Tensor], Tensor]]] = {
    "crop at (13, 21)": (lambda c: F.crop(c, 13, 21, 160, 160), lambda p: pixel.crop(p, 13, 21, 160, 160)),
    "resized crop": (
        lambda c: F.resized_crop(c, 13, 21, 160, 120, SIZE),
        lambda p: pixel.resized_crop(p, 13, 21, 160, 120, [SIZE, SIZE], antialias=True),
    ),
    "resize to 128": (lambda c: F.resize(c, 128), lambda p: pixel.resize(p, [128], antialias=True)),
    "horizontal flip": (F.horizontal_flip, pixel.horizontal_flip),
    "vertical flip": (F.vertical_flip, pixel.vertical_flip),
    "pad by 12, reflect": (
        lambda c: F.pad(c, 12, padding_mode="reflect"),
        lambda p: pixel.pad(p, [12], padding_mode="reflect"),
    ),
    "rotate by 90": (lambda c: F.rotate(c, 90), lambda p: pixel.rotate(p, 90)),
    "rotate by 17": (lambda c: F.rotate(c, 17, fill=GRAY), lambda p: pixel.rotate(p, 17, BILINEAR)),
    "shear x by 12": (
        lambda c: F.affine(c, shear=(12, 0), fill=GRAY),
        lambda p: pixel.affine(p, 0, [0, 0], 1, [12, 0], BILINEAR),
    ),
    "translate by (9, 20)": (
        lambda c: F.affine(c, translate=(9, 20), fill=GRAY),
        lambda p: pixel.affine(p, 0, [9, 20], 1, [0, 0], BILINEAR),
    ),
    "affine": (
        lambda c: F.affine(c, 20, (5, 3), 0.8, (4, 9), fill=GRAY),
        lambda p: pixel.affine(p, 20, [5, 3], 0.8, [4, 9], BILINEAR),
    ),
    "sharpness 1.7": (lambda c: F.adjust_sharpness(c, 1.7), lambda p: sharpened(p, 1.7)),
    "blur, sigma 1.5": (
        lambda c: F.gaussian_blur(c, 9, 1.5),
        lambda p: pixel.gaussian_blur(p, [9, 9], [1.5, 1.5]),
    ),
}
COLOUR: dict[str, tuple[Callable[[Coefficients], Coefficients], Callable[[Tensor], Tensor]]] = {
    "brightness 1.3": (lambda c: F.adjust_brightness(c, 1.3), lambda p: pixel.adjust_brightness(p, 1.3)),
    "contrast 1.3": (lambda c: F.adjust_contrast(c, 1.3), lambda p: pixel.adjust_contrast(p, 1.3)),
    "saturation 1.3": (lambda c: F.adjust_saturation(c, 1.3), lambda p: pixel.adjust_saturation(p, 1.3)),
    "hue 0.05": (lambda c: F.adjust_hue(c, 0.05), lambda p: pixel.adjust_hue(p, 0.05)),
    "invert": (F.invert, pixel.invert),
    "grayscale": (F.rgb_to_grayscale, lambda p: pixel.rgb_to_grayscale(p, 3)),
    "autocontrast": (F.autocontrast, pixel.autocontrast),
    "equalize": (F.equalize, pixel.equalize),
    "posterize to 4 bits": (lambda c: F.posterize(c, 4), lambda p: pixel.posterize(p, 4)),
    "solarize from 128": (lambda c: F.solarize(c, 128), lambda p: pixel.solarize(p, 128)),
}


def luma_error(
    ours: Callable[..., Any], theirs: Callable[..., Any], planes: Sequence[Coefficients], dtype: torch.dtype
) -> float:
    """The largest difference in gray levels, of luma with coefficients of ``dtype``."""
    worst = 0.0
    for picture in planes:
        samples = block_idct(picture.y.double())[None]
        truth = theirs(samples)[0]
        inside = theirs(torch.ones_like(samples))[0] > 1 - 1e-9
        out = block_idct(ours(picture.to(dtype)).y.double())[: truth.shape[0], : truth.shape[1]]
        worst = max(worst, float((out - truth).abs()[inside].max()))
    return worst


def colour_error(ours: Callable[..., Any], theirs: Callable[..., Any], planes: Sequence[Coefficients]) -> float:
    """The mean difference of R, G and B in gray levels after rounding to 8 bits, chroma at full resolution."""
    total = 0.0
    for picture in planes:
        full = Coefficients(picture.y, *(doubled(plane) for plane in picture[1:]))
        out = rgb(ours(full)).clamp(0, 255)
        truth = theirs(rgb(full).clamp(0, 255).round().to(torch.uint8)).double()
        total += float((out - truth).abs().mean()) / len(planes)
    return total


def doubled(plane: Tensor) -> Tensor:
    """A chroma plane at twice its resolution, its samples repeated."""
    return block_dct(block_idct(plane).repeat_interleave(2, -1).repeat_interleave(2, -2))


def rgb(planes: Coefficients) -> Tensor:
    """Samples (3, H, W) in gray levels, not rounded, by JFIF's matrix, of planes of one size."""
    y, cb, cr = (block_idct(plane.double()) for plane in planes)
    y = y + 128
    return torch.stack([y + 1.402 * cr, y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587, y + 1.772 * cb])


def transforms(
    folder: str,
    limit: int = 64,
    repeats: int = 7,
    device: str = "cpu",
    together: int = 256,
    out: str | None = None,
    command: str = "dctnet.benchmarks.transforms.transforms",
) -> list[dict[str, Any]]:
    """Measures on the first ``limit`` JPEG files below ``folder``; prints a table and gives its rows.

    ``together``: how many pictures go through in one call on ``device``; ``out``: a JSON file, for the ``command`` that
    measured as well. DataError without files; ValueError for numbers out of range.
    """
    whole("together", together, 1)
    paths = readable(folder, limit)
    images = read_jpegs(paths)
    square = Compose([Resize(SIZE), CenterCrop(SIZE)], block_size=8)
    planes = [square(image) for image in images]
    decoded = [to_pixels(picture, size=(SIZE, SIZE)) for picture in planes]
    rows = []
    with bound(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        few = slice(0, 8)
        for name, (ours, theirs) in (GEOMETRIC | COLOUR).items():
            say(name)
            pair = paired({name: (each(theirs, decoded[few]), each(ours, planes[few]))}, repeats)[name]
            row = row_of(name, ONE_BY_ONE, pair, len(planes[few]))
            if name in GEOMETRIC:
                row["float64"] = luma_error(ours, theirs, planes[few], torch.float64)
                row["float32"] = luma_error(ours, theirs, planes[few], torch.float32)
            else:
                row["rgb"] = colour_error(ours, theirs, planes[few])
            rows.append(row)
        rows += pipelines(images, planes, decoded, repeats)
    say("all in one call")
    rows.append(at_once(images, device, together))
    show(rows, f"{len(paths)} files of {folder}, one core, median of {repeats} rounds")
    if out is not None:
        write_result(out, rows, command, files=len(paths), rounds=repeats)
    return rows


def say(name: str) -> None:
    """Tells on stderr what is measured now."""
    print(f"measuring {name}", file=sys.stderr, flush=True)


def row_of(name: str, path: str, pair: Pair, pictures: int) -> dict[str, Any]:
    """A row: what ran, and how; microseconds of ours a picture, and how many times torchvision's that is faster."""
    us = 1e6 * pair.reference_seconds / pictures
    return {"transform": name, "path": path, "us": us, "ratio": pair.ratio, "spread": list(pair.spread)}


def each(function: Callable[..., Any], pictures: Sequence[Any]) -> Callable[[], None]:
    """A run through the pictures, one after the other."""

    def run() -> None:
        for picture in pictures:
            function(picture)

    return run


def chain(*augmentations: RandAugment) -> Compose:
    """Random resized crop, flip, ``augmentations``, normalisation with the figures of ``CARD``."""
    steps = [RandomResizedCrop(SIZE), RandomHorizontalFlip(), *augmentations, Normalize.from_card(CARD)]
    return Compose(steps, block_size=8)


def pixel_chain(*augmentations: v2.RandAugment) -> v2.Compose:
    """The same of torchvision, on decoded pictures."""
    return v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, antialias=True),
            v2.RandomHorizontalFlip(),
            *augmentations,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )


def pipelines(
    images: Sequence[Any], planes: Sequence[Coefficients], decoded: Sequence[Tensor], repeats: int
) -> list[dict[str, Any]]:
    """The rows of the whole pipelines, and of RandAugment."""
    whole = [to_pixels(image) for image in images]
    augment, twin = Compose([RandAugment()], block_size=8), v2.RandAugment(interpolation=BILINEAR)

    def ours_batched(transform: Compose) -> Callable[[], None]:
        def run() -> None:
            for start in range(0, len(images), BATCH):
                few = images[start : start + BATCH]
                lift_images(transform, few, range(start, start + len(few)))

        return run

    def ours_augmented() -> None:
        for i, picture in enumerate(planes):
            augment(picture, torch.Generator().manual_seed(i))

    def theirs_seeded(transform: Callable[..., Any], pictures: Sequence[Tensor]) -> Callable[[], None]:
        def run() -> None:
            for i, picture in enumerate(pictures):
                torch.manual_seed(i)
                transform(picture)

        return run

    runs = {
        ("RandAugment", ONE_BY_ONE): (theirs_seeded(twin, decoded), ours_augmented),
        ("RandomResizedCrop(224), flip, normalise", BATCHES): (
            theirs_seeded(pixel_chain(), whole),
            ours_batched(chain()),
        ),
        ("RandomResizedCrop(224), flip, RandAugment, normalise", BATCHES): (
            theirs_seeded(pixel_chain(twin), whole),
            ours_batched(chain(RandAugment())),
        ),
    }
    rows = []
    for (name, path), run in runs.items():
        say(f"{name}, {path}")
        rows.append(row_of(name, path, paired({name: run}, repeats)[name], len(images)))
    return rows


def at_once(images: Sequence[Any], device: str, count: int = 256, rounds: int = 5) -> dict[str, Any]:
    """Images/s of crop, flip and normalisation of ``count`` pictures in one call on ``device``, planned and packed before."""
    pictures = [images[i % len(images)] for i in range(count)]
    made = plan(chain(), pictures, [torch.Generator().manual_seed(i) for i in range(count)])
    packed = made.pack([picture.coefficients for picture in pictures]).to(device)

    def synchronize() -> None:
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()

    seconds = []
    for _ in range(rounds + 1):
        synchronize()
        start = time.perf_counter()
        made.apply(packed)
        synchronize()
        seconds.append(time.perf_counter() - start)
    rate = count / sorted(seconds[1:])[rounds // 2]
    name = f"RandomResizedCrop(224), flip, normalise, {count} in one call; planning, packing and transfer not counted"
    return {"transform": name, "path": "one call", "device": device, "images_per_second": rate}


def show(rows: list[dict[str, Any]], title: str) -> None:
    """Prints the rows."""
    table = Table(title=title)
    table.add_column("transform")
    table.add_column("path")
    for name in ("us a picture", "faster than torchvision by", "error, float64", "float32", "mean error, RGB"):
        table.add_column(name, justify="right")
    for row in rows:
        if "images_per_second" in row:
            table.add_row(
                row["transform"],
                row["path"],
                f"{row['images_per_second']:.0f} images/s ({row['device']})",
                "",
                "",
                "",
                "",
            )
            continue
        low, high = row["spread"]
        errors = [f"{row[key]:.1e}" if key in row else "" for key in ("float64", "float32")]
        colour = f"{row['rgb']:.2f}" if "rgb" in row else ""
        table.add_row(
            row["transform"],
            row["path"],
            f"{row['us']:.0f}",
            f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})",
            *errors,
            colour,
        )
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """``dctnet bench transforms`` with these arguments."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench transforms", description="Transforms on coefficients beside torchvision's on decoded pixels."
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files, at any depth")
    parser.add_argument("--limit", type=int, default=64, metavar="N", help="at most N files (default 64)")
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="rounds, 3 at least (default 7)")
    parser.add_argument("--device", default="cpu", help="where a whole batch goes through in one call (default cpu)")
    parser.add_argument("--together", type=int, default=256, metavar="N", help="so many in that call (default 256)")
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    transforms(**vars(parser.parse_args(arguments)), command=command_line("transforms", arguments))
