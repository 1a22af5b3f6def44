"""Augmentation in the DCT domain, with the names and arguments of ``torchvision.transforms.v2``."""

from dctnet.transforms.augment import RandAugment, ThreeAugment, TrivialAugmentWide
from dctnet.transforms.canvas import Pad, RandomCrop, Translate
from dctnet.transforms.color import ColorJitter, RandomChromaDrop, RandomGrayscale, RandomInvert
from dctnet.transforms.compose import Compose
from dctnet.transforms.energy import KeepEnergy
from dctnet.transforms.erasing import Cutout, RandomErasing
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import (
    CenterCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Reblock,
    Resize,
)
from dctnet.transforms.mixing import CutMix, MixUp
from dctnet.transforms.noise import GaussianNoise, LaplaceNoise, UniformNoise
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.policy import RandomApply, RandomChoice
from dctnet.transforms.rotation import Affine, RandomAffine, RandomRotation, Rotate
from dctnet.transforms.rounding import JPEGQuality, Quantize, RandomJPEGQuality
from dctnet.transforms.sharpness import GaussianBlur, RandomAdjustSharpness
from dctnet.transforms.spectral import FrequencyEnhancement, MidFrequencyAugmentation, SpectralSharpness
from dctnet.transforms.tone import RandomAutocontrast, RandomEqualize, RandomPosterize, RandomSolarize

__all__ = [
    "Affine",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "FrequencyEnhancement",
    "GaussianBlur",
    "GaussianNoise",
    "JPEGQuality",
    "KeepEnergy",
    "LaplaceNoise",
    "MidFrequencyAugmentation",
    "MixUp",
    "Normalize",
    "Pad",
    "Quantize",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomChromaDrop",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomJPEGQuality",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Reblock",
    "Resize",
    "Rotate",
    "SelectBands",
    "SpectralSharpness",
    "ThreeAugment",
    "Translate",
    "TrivialAugmentWide",
    "UniformNoise",
]
