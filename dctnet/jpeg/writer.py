"""Coefficients to JPEG files, without loss: the way back of ``reader.py``.

``write_jpeg`` hands the integers to the encoder in C++ (``encoder.hpp`` says what it writes). Nothing is rounded here; for
coefficients that a transform has made, ``dctnet.jpeg.quantize`` does the rounding first.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import SupportsIndex

import torch

from dctnet.jpeg import _native
from dctnet.jpeg.image import JPEGImage

JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"  # 1.01, square pixels, no thumbnail
_ICC_PART = 65533 - 14  # of a segment, behind its name and two numbers


def write_jpeg(image: JPEGImage, *, restart_interval: int = 0, icc_profile: bytes | None = None) -> bytes:
    """The bytes of a JPEG file that holds exactly the coefficients of ``image``.

    ``read_jpeg`` gives back the same integers, quantization tables, sampling factors, size and orientation, and every JPEG
    decoder shows the same pixels as of the file that ``image`` came from, with one exception: of a progressive file whose last
    scans are missing libjpeg smooths the coarse blocks, and what is written here is a whole file of the same coefficients,
    shown as they are. The file is baseline with Huffman tables made for
    it, about as large as ``jpegtran -optimize`` makes it; extended sequential (SOF1) where steps above 255 or integers beyond
    baseline's 11 bits need that. ``restart_interval``: MCUs between restart markers, 0 for none, up to 65535.

    Of metadata, the orientation is kept in a short EXIF segment, and ``icc_profile`` is written where it is given (Pillow
    reads one: ``Image.open(path).info.get("icc_profile")``); a ``JPEGImage`` knows of no other. An image that was read
    through pixels (``from_pixels``) is written as it is: 4:4:4, all steps 1, and therefore large.

    Dequantized planes are divided by their steps, exactly. ValueError where that cannot be: a value that is no multiple of
    its step (``quantize`` the planes), or stands at the ends of int16, where it may have been cut off (read the file with
    ``dequantize=False``); where planes, sampling, quantization and size do not belong together; and for the integers that no
    sequential file can hold (an AC coefficient of -32768, a DC difference of 32768), which only hostile files have.

    >>> import io
    >>> from PIL import Image
    >>> from dctnet.jpeg.reader import read_jpeg
    >>> file = io.BytesIO()
    >>> Image.linear_gradient("L").save(file, "JPEG")
    >>> image = read_jpeg(file.getvalue())
    >>> again = read_jpeg(write_jpeg(image))
    >>> torch.equal(again.coefficients.y, image.coefficients.y), again.size
    (True, (256, 256))
    """
    if not isinstance(image, JPEGImage):
        raise ValueError(
            f"write_jpeg writes a JPEGImage; got {type(image).__name__}. quantize(coefficients, ...) makes one of "
            "coefficients."
        )
    check_restart_interval(restart_interval)
    if image.bands is not None or image.scale != 1:
        raise ValueError(
            f"{image.source} was read with {'bands=' if image.bands is not None else 'scale='}, which leaves out what a file "
            "holds; read it whole to write it"
        )
    count = len(image.sampling)
    if count not in (1, 3):
        raise ValueError(f"an image has the sampling factors of 1 or 3 components; got {image.sampling}")
    planes = []
    for name, plane in zip(("y", "cb", "cr")[:count], image.coefficients[:count], strict=True):
        if plane.ndim != 3 or plane.shape[0] != 64 or plane.dtype != torch.int16:
            raise ValueError(
                f"plane {name} of a JPEGImage is int16 (64, H/8, W/8); got {str(plane.dtype).removeprefix('torch.')} "
                f"{tuple(plane.shape)}. quantize(coefficients, ...) rounds what a transform has made."
            )
        planes.append(plane.detach().cpu().permute(1, 2, 0).contiguous().numpy())
    steps = image.quantization
    if steps.dtype != torch.uint16 or tuple(steps.shape) != (count, 64):
        raise ValueError(
            f"an image of {count} components has quantization uint16 ({count}, 64); got "
            f"{str(steps.dtype).removeprefix('torch.')} {tuple(steps.shape)}"
        )
    return _native.encode(
        planes,
        [(int(v), int(h)) for v, h in image.sampling],
        steps.cpu().contiguous().numpy(),
        (int(image.size[0]), int(image.size[1])),
        bool(image.dequantized),
        int(restart_interval),
        _segments(image.orientation, icc_profile),
    )


def check_restart_interval(interval: int) -> None:
    """ValueError for what is no number of MCUs between restart markers."""
    if isinstance(interval, bool) or not isinstance(interval, SupportsIndex) or not 0 <= interval < 65536:
        raise ValueError(f"restart_interval is a number of MCUs, 0 to 65535; got {interval!r}")


def write_jpegs(images: Iterable[JPEGImage], *, threads: int = 2, restart_interval: int = 0) -> list[bytes]:
    """``write_jpeg`` of many images on ``threads`` threads; raises the error of the first that cannot be written."""
    if isinstance(threads, bool) or not isinstance(threads, SupportsIndex) or threads < 1:
        raise ValueError(f"threads is a positive integer; got {threads!r}")
    with ThreadPoolExecutor(int(threads)) as pool:
        return list(pool.map(lambda image: write_jpeg(image, restart_interval=restart_interval), images))


def _segments(orientation: int, icc_profile: bytes | None) -> bytes:
    """JFIF, which says that the colours are YCbCr; EXIF with the orientation alone, unless it is 1; the colour profile."""
    if orientation not in range(1, 9):
        raise ValueError(f"an EXIF orientation is 1 to 8; got {orientation!r}")
    found = _segment(0xE0, JFIF)
    if orientation != 1:
        entry = b"\1\x12" + b"\0\3" + b"\0\0\0\1" + orientation.to_bytes(2, "big") + b"\0\0"  # tag, type, count, value
        found += _segment(0xE1, b"Exif\0\0" + b"MM\0*\0\0\0\x08" + b"\0\1" + entry + b"\0\0\0\0")
    if icc_profile:
        parts = [icc_profile[start : start + _ICC_PART] for start in range(0, len(icc_profile), _ICC_PART)]
        if len(parts) > 255:
            raise ValueError(f"a colour profile of {len(icc_profile)} bytes does not fit a JPEG file (255 segments)")
        for number, part in enumerate(parts, 1):
            found += _segment(0xE2, b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part)
    return found


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
