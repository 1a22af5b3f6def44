"""Training with Lightning. ``Classifier`` is imported when it is first used: Lightning takes seconds."""

from importlib import import_module

__all__ = ["Classifier"]


def __getattr__(name: str):
    if name == "Classifier":
        return import_module("dctnet.training.classifier").Classifier
    raise AttributeError(f"module 'dctnet.training' has no attribute {name!r}; it has {__all__}")
