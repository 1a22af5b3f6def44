"""dctnet: convolutional networks on the DCT coefficients inside JPEG files.

The names are imported when they are first used, so that ``import dctnet`` costs little more than ``import torch``.
"""

from importlib import import_module

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
_ROOMS = ("coefficients", "data", "dct", "jpeg", "models", "nn", "report", "training", "transforms")

__all__ = [*_NAMES, "__version__"]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return import_module(f"dctnet.{name}")
    raise AttributeError(f"module 'dctnet' has no attribute {name!r}; it has {sorted([*_NAMES, *_ROOMS])}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES, *_ROOMS])
