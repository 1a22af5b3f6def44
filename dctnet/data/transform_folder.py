"""``dctnet transform``: folders of JPEG files changed without decoding them to pixels, and without loss where that can be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, SupportsIndex

from PIL import Image

from dctnet.data.batch import why_broken
from dctnet.data.broken import Broken, BrokenList
from dctnet.data.folder import DataError, find_images
from dctnet.data.keyed_sampling import SampleKey, sample_generator
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.quantize import quantize
from dctnet.jpeg.reader import read_jpeg
from dctnet.jpeg.writer import check_restart_interval, write_jpeg
from dctnet.quantization import quality_steps
from dctnet.transforms.compose import Compose
from dctnet.transforms.normalize import Normalize
from dctnet.whole_file import write_whole

Step = Callable[[JPEGImage], JPEGImage] | Compose

MARK = "transformed.json"
BROKEN = "broken.csv"
_AT_A_TIME = 256  # files in hand, so that a folder of millions does not wait in memory


class Transformed(NamedTuple):
    """How many files were written, how many were there already, and those that could not be made, each with its reason."""

    written: int
    kept: int
    broken: list[Broken]


def transform_folder(
    source: str | Path,
    target: str | Path,
    transform: Step | Sequence[Step],
    *,
    quality: int | None = None,
    dequantize: bool = True,
    restart_interval: int = 0,
    threads: int = 2,
    seed: int = 0,
    description: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Transformed:
    """Every JPEG file below ``source``, transformed, under the same name below ``target``.

    ``transform`` is a function from ``JPEGImage`` to ``JPEGImage``, such as those of ``dctnet.jpeg.lossless``, which lose
    nothing; or a ``Compose``, whose coefficients are rounded to multiples of the file's own quantization steps, or of those
    of ``quality`` (1 to 100), and nothing else is lost; its random draws are keyed by (``seed``, number of the file). Or a
    list of such steps, carried out in turn, the Compose last; an empty list writes the same integers with Huffman tables made
    for them. ``dequantize=False`` hands functions the raw integers, which even files have whose products leave int16.
    Orientation and colour profile are kept, other metadata are not.

    A file is written beside its name and renamed, so what has its name is whole; a run that was killed goes on where it
    stopped: files that are younger than their source are kept. ``target/transformed.json`` says what was done
    (``description``, for a Compose its text), and a target that was made otherwise, or by something else, is refused. Files
    that cannot be read or transformed do not end the run; they are listed in ``target/broken.csv``.
    ``progress(done, all)`` is called now and then.

    DataError for a source without JPEG files and for targets that are refused; ValueError for bad arguments; OSError where
    writing fails, as on a full disk: nothing partial stays, and the same call goes on once there is room.
    """
    source, target = Path(source), Path(target)
    steps = list(transform) if isinstance(transform, (list, tuple)) else [transform]
    computes = any(isinstance(step, Compose) for step in steps)
    _check(steps, quality, threads)
    check_restart_interval(restart_interval)
    paths = _sources(source, target)
    if description is None and all(isinstance(step, Compose) for step in steps):
        description = repr(steps)
    _claim(target, {"operations": description, "quality": quality, "restart_interval": restart_interval, "seed": seed})

    def work(number: int) -> Broken | bool:
        path, made = paths[number], target / Path(paths[number]).relative_to(source)
        if made.exists() and made.stat().st_mtime_ns >= os.stat(path).st_mtime_ns:
            return False
        try:
            image = read_jpeg(path, dequantize=dequantize or computes)
            data = _bytes(image, steps, quality, restart_interval, (seed, number))
        except (JPEGError, OSError) as error:
            return Broken(path, why_broken(error))
        except ValueError as error:
            return Broken(path, str(error))
        write_whole(made, data, sync=False)
        return True

    results: list[Broken | bool] = []
    with ThreadPoolExecutor(int(threads)) as pool:
        for start in range(0, len(paths), _AT_A_TIME):
            results += pool.map(work, range(start, min(start + _AT_A_TIME, len(paths))))
            if progress is not None:
                progress(len(results), len(paths))
    broken = [result for result in results if isinstance(result, Broken)]
    BrokenList(target / BROKEN).add(broken)
    return Transformed(results.count(True), results.count(False), broken)


def _check(steps: list[Step], quality: int | None, threads: int) -> None:
    for step in steps:
        if not callable(step):
            raise ValueError(f"transform is a function of a JPEGImage, a Compose, or a list of them; got {step!r}")
        if isinstance(step, Compose) and any(isinstance(part, Normalize) for part in step.transforms):
            raise ValueError("Normalize leaves the scale of gray levels, in which files are written; take it out")
        if isinstance(step, Compose) and step is not steps[-1]:
            raise ValueError("a Compose comes last, and there is one at most: put its transforms into one Compose")
    if quality is not None:
        quality_steps(quality)
        if not steps or not isinstance(steps[-1], Compose):
            raise ValueError("quality goes with a Compose; what is without loss keeps the file's own steps")
    if isinstance(threads, bool) or not isinstance(threads, SupportsIndex) or threads < 1:
        raise ValueError(f"threads is a positive integer; got {threads!r}")


def _sources(source: Path, target: Path) -> list[str]:
    if not source.is_dir():
        raise DataError(f"there is no folder {source}")
    inner, outer = target.resolve(), source.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise DataError(f"{target} and {source} lie in each other; choose a target beside the source")
    if not (paths := find_images(source)):
        raise DataError(f"{source} holds no JPEG file")
    return paths


def _claim(target: Path, made: dict[str, object]) -> None:
    """Leave the mark in an empty target; raise where there is another, or files without one."""
    mark = target / MARK
    if mark.is_file():
        try:
            found = json.loads(mark.read_text())
        except ValueError as error:
            raise DataError(f"{mark} is damaged ({error}); remove {target}, or choose another target") from error
        if found != made:
            raise DataError(f"{target} holds files made otherwise ({found}; now {made}); choose another target")
        (target / BROKEN).unlink(missing_ok=True)  # they are tried again
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} exists and was not made by transform; remove it or choose another target")
    write_whole(mark, (json.dumps(made, indent=1) + "\n").encode())


def _bytes(
    image: JPEGImage, steps: list[Step], quality: int | None, restart_interval: int, key: tuple[int, int]
) -> bytes:
    """The file that the steps make of an image."""
    made = image
    for step in steps:
        if not isinstance(step, Compose):
            made = step(made)
            continue
        if made.from_pixels and quality is None:
            raise ValueError(f"the file has no quantization steps of its own ({made.from_pixels}); give a quality")
        coefficients, grid = step.with_grid(made, sample_generator(key[0], SampleKey(0, key[1])))
        table = made.quantization if quality is None else quality_steps(quality)[: len(made.sampling)]
        made = quantize(coefficients, grid=grid, quantization=table, orientation=made.orientation)
    if made.from_pixels:
        raise ValueError(f"the file holds no coefficients to be kept ({made.from_pixels}); convert it to JPEG first")
    return write_jpeg(made, restart_interval=restart_interval, icc_profile=_profile(image, len(made.sampling)))


def _profile(image: JPEGImage, components: int) -> bytes | None:
    """The colour profile of the file that an image came from, where it fits one of so many components."""
    if image.from_pixels:
        return None
    try:
        with Image.open(image.source) as file:
            profile = file.info.get("icc_profile")
    except (OSError, SyntaxError, ValueError):
        return None
    return profile if profile and profile[16:20] == (b"GRAY" if components == 1 else b"RGB ") else None
