"""Augmentation in the DCT domain, with the names and arguments of ``torchvision.transforms.v2``."""

from dctnet.transforms.canvas import Pad, RandomCrop, Translate
from dctnet.transforms.compose import Compose
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import (
    CenterCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Reblock,
    Resize,
)
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.policy import RandomApply, RandomChoice
from dctnet.transforms.rotation import Affine, RandomAffine, RandomRotation, Rotate

__all__ = [
    "Affine",
    "CenterCrop",
    "Compose",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Reblock",
    "Resize",
    "Rotate",
    "SelectBands",
    "Translate",
]
