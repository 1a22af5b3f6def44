"""JPEG files to coefficients and back, and coefficients to pixels and back."""

from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.pixels import from_pixels, to_pixels
from dctnet.jpeg.quantize import quantize
from dctnet.jpeg.reader import read_jpeg, read_jpegs
from dctnet.jpeg.writer import write_jpeg, write_jpegs
from dctnet.quantization import quality_steps

__all__ = [
    "JPEGError",
    "JPEGImage",
    "from_pixels",
    "quality_steps",
    "quantize",
    "read_jpeg",
    "read_jpegs",
    "to_pixels",
    "write_jpeg",
    "write_jpegs",
]
