"""Folders of JPEG files as batches of coefficients.

``DCTDataModule`` is imported when it is first used: it alone needs Lightning, which takes seconds.
"""

from importlib import import_module

from dctnet.data.batch import Batch
from dctnet.data.folder import DataError, FileList, JPEGFolder
from dctnet.data.torch_loader import KeyedLoader

__all__ = ["Batch", "DCTDataModule", "DataError", "FileList", "JPEGFolder", "KeyedLoader"]


def __getattr__(name: str):
    if name == "DCTDataModule":
        return import_module("dctnet.data.module").DCTDataModule
    raise AttributeError(f"module 'dctnet.data' has no attribute {name!r}; it has {__all__}")
