"""The recipe ``digits``: handwritten digits over photographs, made on the spot from what scikit-learn ships.

Source: the 1,797 digits of ``sklearn.datasets.load_digits`` (the test half of "Optical recognition of handwritten
digits", E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0) and the two photographs of
``load_sample_images`` (CC BY, their authors are named in scikit-learn's ``datasets/images/README.txt``).
Needs nothing but the installed packages. Writes 64x64 colour JPEGs of quality 75, 4:2:0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

SEED = 2021
SIDE = 64
VALIDATION_SHARE = 0.2
LUMA = np.array([0.299, 0.587, 0.114])


def draw_digit(ink: np.ndarray, photographs: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """One picture, uint8 (64, 64, 3): ``ink`` (8, 8) in 0..16, enlarged, coloured and blended over a patch.

    The patch is a random square of 64 to 192 pixels of a random photograph. The digit is enlarged (bicubic) to a side of
    48 to 56 pixels and lies at a random offset; its colour is at least 100 levels of luma away from the mean of what it covers.
    """
    photograph = photographs[rng.integers(len(photographs))]
    side = int(rng.integers(SIDE, 193))
    top, left = (int(rng.integers(length - side + 1)) for length in photograph.shape[:2])
    patch = Image.fromarray(photograph[top : top + side, left : left + side])
    patch = np.asarray(patch.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64)

    size = int(rng.integers(48, 57))
    mask = Image.fromarray((ink / 16).astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    row, column = (int(rng.integers(SIDE - size + 1)) for _ in range(2))
    shape = np.zeros((SIDE, SIDE, 1))
    shape[row : row + size, column : column + size, 0] = np.clip(np.asarray(mask, dtype=np.float64), 0, 1)

    covered = (shape * patch).sum((0, 1)) / shape.sum()
    while True:
        colour = rng.uniform(0, 255, 3)
        if abs((colour - covered) @ LUMA) >= 100:
            break
    opacity = shape * rng.uniform(0.85, 1.0)
    return np.clip(np.rint(patch + opacity * (colour - patch)), 0, 255).astype(np.uint8)


def make_digits(folder: Path, source: Path | None = None) -> dict[str, object]:
    """Write ``folder/{train,val}/DIGIT/NUMBER.jpg``; returns the facts, with a SHA-256 over the pixels before JPEG.

    Picture i depends on the seed and on i alone. A fifth of each class, drawn once, is for validation. ``source`` is not
    used.
    """
    digits = load_digits()
    photographs = load_sample_images().images
    validation = set()
    for digit in range(10):
        members = np.flatnonzero(digits.target == digit)
        chosen = np.random.default_rng([SEED, digit]).permutation(members)
        validation.update(chosen[: round(VALIDATION_SHARE * len(members))].tolist())
    digest = hashlib.sha256()
    for index, (ink, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        pixels = draw_digit(ink, photographs, np.random.default_rng([SEED, 10 + index]))
        digest.update(pixels.tobytes())
        target = folder / ("val" if index in validation else "train") / str(digit) / f"{index:04d}.jpg"
        save_jpeg(pixels, target)
    return {"sha256_of_pixels": digest.hexdigest()}


def save_jpeg(pixels: np.ndarray, path: Path) -> None:
    """``pixels`` (H, W, 3) uint8 as a JPEG of quality 75 with 4:2:0 chroma."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=75, subsampling="4:2:0")
