"""dctnet: convolutional networks on the DCT coefficients inside JPEG files.

The names are imported when they are first used, so that ``import dctnet`` costs little more than ``import torch``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dctnet import coefficients as coefficients
    from dctnet import data as data
    from dctnet import dct as dct
    from dctnet import jpeg as jpeg
    from dctnet import models as models
    from dctnet import nn as nn
    from dctnet import report as report
    from dctnet import robustness as robustness
    from dctnet import training as training
    from dctnet import transforms as transforms
    from dctnet.coefficients import Coefficients
    from dctnet.jpeg.errors import JPEGError
    from dctnet.jpeg.image import JPEGImage
    from dctnet.jpeg.pixels import to_pixels
    from dctnet.jpeg.reader import read_jpeg, read_jpegs
    from dctnet.jpeg.writer import write_jpeg, write_jpegs
    from dctnet.models.fold_stem import fold_stem
    from dctnet.models.from_rgb import from_rgb
    from dctnet.models.summary import summary
    from dctnet.models.zoo import create_model, list_models

__version__ = "0.1.0"

_NAMES = {
    "Coefficients": "dctnet.coefficients",
    "JPEGError": "dctnet.jpeg.errors",
    "JPEGImage": "dctnet.jpeg.image",
    "read_jpeg": "dctnet.jpeg.reader",
    "read_jpegs": "dctnet.jpeg.reader",
    "write_jpeg": "dctnet.jpeg.writer",
    "write_jpegs": "dctnet.jpeg.writer",
    "to_pixels": "dctnet.jpeg.pixels",
    "create_model": "dctnet.models.zoo",
    "list_models": "dctnet.models.zoo",
    "from_rgb": "dctnet.models.from_rgb",
    "fold_stem": "dctnet.models.fold_stem",
    "summary": "dctnet.models.summary",
}
_ROOMS = (
    "coefficients",
    "data",
    "dct",
    "jpeg",
    "models",
    "nn",
    "report",
    "robustness",
    "training",
    "transforms",
)

__all__ = [
    "Coefficients",
    "JPEGError",
    "JPEGImage",
    "__version__",
    "create_model",
    "fold_stem",
    "from_rgb",
    "list_models",
    "read_jpeg",
    "read_jpegs",
    "summary",
    "to_pixels",
    "write_jpeg",
    "write_jpegs",
]


if not TYPE_CHECKING:  # a checker is to say that there is no dctnet.read_jpg

    def __getattr__(name: str) -> Any:
        if name in _NAMES:
            return getattr(import_module(_NAMES[name]), name)
        if name in _ROOMS:
            return import_module(f"dctnet.{name}")
        raise AttributeError(f"module 'dctnet' has no attribute {name!r}; it has {sorted([*_NAMES, *_ROOMS])}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_ROOMS})
