"""Training with Lightning. ``Classifier`` is imported when it is first used: Lightning takes seconds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dctnet.training.classifier import Classifier

__all__ = ["Classifier"]


if not TYPE_CHECKING:  # a checker is to know what there is

    def __getattr__(name: str) -> Any:
        if name == "Classifier":
            return import_module("dctnet.training.classifier").Classifier
        raise AttributeError(f"module 'dctnet.training' has no attribute {name!r}; it has {__all__}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
