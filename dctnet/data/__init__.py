"""Folders of JPEG files as batches of coefficients, and sets of time series.

``DCTDataModule`` and ``SeriesDataModule`` are imported when they are first used: they alone need Lightning, which takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dctnet.data.batch import Batch
from dctnet.data.folder import DataError, FileList, JPEGFolder
from dctnet.data.torch_loader import KeyedLoader
from dctnet.data.ucr import read_ucr

if TYPE_CHECKING:
    from dctnet.data.module import DCTDataModule
    from dctnet.data.series import SeriesDataModule

__all__ = [
    "Batch",
    "DCTDataModule",
    "DataError",
    "FileList",
    "JPEGFolder",
    "KeyedLoader",
    "SeriesDataModule",
    "read_ucr",
]

_WITH_LIGHTNING = {"DCTDataModule": "dctnet.data.module", "SeriesDataModule": "dctnet.data.series"}


if not TYPE_CHECKING:  # a checker is to know what there is

    def __getattr__(name: str) -> Any:
        if name in _WITH_LIGHTNING:
            return getattr(import_module(_WITH_LIGHTNING[name]), name)
        raise AttributeError(f"module 'dctnet.data' has no attribute {name!r}; it has {__all__}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
