"""The command ``dctnet transform``: its options, in the order in which they are given, as one transform of a folder."""

from __future__ import annotations

import argparse
import sys
import warnings
from functools import partial
from typing import Any

from dctnet.data.folder import DataError
from dctnet.data.transform_folder import BROKEN, Step, transform_folder
from dctnet.jpeg import lossless
from dctnet.jpeg.reader import through_pixels_count
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, Geometric, Resize

EPILOG = """operations are carried out in the order in which they are given. Without loss, so the integers in the file stay
the same and only change places: --crop --flip --rotate --transpose --grayscale --upright. They act on the stored picture,
whose EXIF orientation stays as it is; begin with --upright to carry it out. Where a picture does not consist of whole MCUs
(8 pixels, or 16 with subsampled chroma) along a side that is mirrored, or a crop does not begin at one, the file is refused
and listed; --trim cuts what is left over. Files are written sequential with optimised Huffman tables; without operations,
that is all that changes.

--resize and --center-crop compute new coefficients, still without pixels, and round them to the file's own quantization
steps or those of --quality; they come last.

  dctnet transform photos upright --upright --trim
  dctnet transform photos small --resize 256 --center-crop 224 --quality 90
"""


class _Operation(argparse.Action):
    """Appends (option, value), so that the order of the command line is kept."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.operations = [*(namespace.operations or []), (option_string.removeprefix("--"), values)]


def main(arguments: list[str]) -> int:
    """Run the command; 1 where some files could not be made."""
    parser = argparse.ArgumentParser(
        prog="dctnet transform",
        description="Changes the JPEG files below SOURCE and writes them under the same names below TARGET.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("source", metavar="SOURCE", help="a folder of JPEG files, sub-folders included")
    parser.add_argument("target", metavar="TARGET", help="a new folder, or one of a run that was cut off")

    def operation(name: str, **options: Any) -> None:
        parser.add_argument(name, action=_Operation, dest="operations", **options)

    operation("--crop", type=int, nargs=4, metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"), help="this box, in pixels")
    operation("--flip", choices=("horizontal", "vertical"), help="mirror left to right, or top to bottom")
    operation("--rotate", type=int, choices=(90, 180, 270), help="turn clockwise")
    operation("--transpose", nargs=0, help="rows become columns")
    operation("--grayscale", nargs=0, help="leave the chroma out")
    operation("--upright", nargs=0, help="carry the EXIF orientation out")
    operation("--resize", type=int, metavar="SIDE", help="the shorter side at SIDE pixels")
    operation("--center-crop", type=int, metavar="SIDE", help="the central square of SIDE pixels")
    parser.add_argument("--trim", action="store_true", help="cut off parts of MCUs that stand in the way")
    parser.add_argument("--quality", type=int, help="of files that were resized (default: their own steps)")
    parser.add_argument(
        "--restart-interval", type=int, default=0, metavar="MCUS", help="between restart markers (default none)"
    )
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="(default 2)")
    options = parser.parse_args(arguments)
    operations = options.operations or []
    names = [name for name, _ in operations]
    computed = [name in ("resize", "center-crop") for name in names]
    if computed != sorted(computed):
        raise DataError(
            f"--{names[computed.index(True)]} computes new coefficients and comes after what is without loss"
        )
    if options.quality is not None and not any(computed):
        raise DataError("--quality goes with --resize or --center-crop; what is without loss keeps the file's own")

    before = through_pixels_count()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*read through pixels")  # they are counted below, or broken
        made = transform_folder(
            options.source,
            options.target,
            _steps(operations, options.trim),
            quality=options.quality,
            dequantize=any(computed),
            restart_interval=options.restart_interval,
            threads=options.threads,
            description=_description(operations, options.trim),
            progress=_show if sys.stderr.isatty() else None,
        )
    for broken in made.broken[:5]:
        print(f"not made: {broken.path}: {broken.reason}", file=sys.stderr)
    if made.broken:
        print(f"{len(made.broken)} files were not made; {options.target}/{BROKEN} lists them all", file=sys.stderr)
    if options.quality is not None and (pixels := through_pixels_count() - before):
        print(f"{pixels} files hold no coefficients that can be read, and came through pixels", file=sys.stderr)
    print(f"{options.target}: {made.written} files written, {made.kept} were there already")
    return 1 if made.broken else 0


def _steps(operations: list[tuple[str, object]], trim: bool) -> list[Step]:
    """What ``transform_folder`` is to do."""
    found: list[Step] = []
    computed: list[Geometric] = []
    for name, value in operations:
        if name == "crop":
            top, left, height, width = value
            if min(top, left) < 0 or min(height, width) < 1:
                raise DataError(
                    f"--crop is TOP LEFT HEIGHT WIDTH, a box of 1x1 pixel at least; got {' '.join(map(str, value))}"
                )
            found.append(partial(lossless.crop, top=top, left=left, height=height, width=width, trim=trim))
        elif name == "flip":
            flip = lossless.horizontal_flip if value == "horizontal" else lossless.vertical_flip
            found.append(partial(flip, trim=trim))
        elif name == "rotate":
            found.append(partial(lossless.rotate, degrees=value, trim=trim))
        elif name == "upright":
            found.append(partial(lossless.upright, trim=trim))
        elif name in ("transpose", "grayscale"):
            found.append(getattr(lossless, name))
        else:
            computed.append(Resize(value) if name == "resize" else CenterCrop(value))
    return [*found, Compose(computed, block_size=8)] if computed else found


def _description(operations: list[tuple[str, object]], trim: bool) -> str:
    words = []
    for name, value in operations:
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return " ".join([*words, "--trim"] if trim else words)


def _show(done: int, planned: int) -> None:
    print(f"\r{done:,} of {planned:,} files", end="" if done < planned else "\n", file=sys.stderr, flush=True)
