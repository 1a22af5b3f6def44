"""Augmentation in the DCT domain, with the names and arguments of ``torchvision.transforms.v2``."""

from dctnet.transforms.compose import Compose
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, Reblock, Resize
from dctnet.transforms.normalize import Normalize

__all__ = [
    "CenterCrop",
    "Compose",
    "Normalize",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Reblock",
    "Resize",
    "SelectBands",
]
