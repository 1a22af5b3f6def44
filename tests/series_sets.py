"""Small sets of time series, and the files that hold them."""

from pathlib import Path

import numpy as np

PARTS = ("TRAIN", "TEST")


def tones(n: int, seed: int, length: int = 40, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """n series of noise and a tone of two or of five waves, at any phase, and the number of their waves."""
    draws = np.random.default_rng(seed)
    waves = np.where(np.arange(n) % 2 == 0, 2, 5)
    phase = draws.uniform(0, 2 * np.pi, (n, channels, 1))
    values = np.sin(2 * np.pi * waves[:, None, None] * np.arange(length) / length + phase)
    return values + 0.2 * draws.standard_normal(values.shape), waves


def write_ts(folder: Path, name: str, train, test) -> Path:
    """A set as ``.ts`` files, with as many digits as float64 has; the classes are those of training."""
    folder.mkdir(parents=True, exist_ok=True)
    names = " ".join(map(str, dict.fromkeys(train[1].tolist())))
    for part, (values, labels) in zip(PARTS, (train, test), strict=True):
        head = [
            f"#{name}, a set of tones",
            "",
            f"@problemName {name}",
            "@timeStamps false",
            f"@classLabel true {names}",
            "@data",
        ]
        rows = [
            ":".join(",".join(map(repr, channel)) for channel in series.tolist()) + f":{label}"
            for series, label in zip(values, labels.tolist(), strict=True)
        ]
        (folder / f"{name}_{part}.ts").write_text("\n".join([*head, *rows]) + "\n")
    return folder


def write_table(folder: Path, name: str, train, test, ending: str, parting: str) -> Path:
    """A set of one channel as text, the label first."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, (values, labels) in zip(PARTS, (train, test), strict=True):
        rows = np.column_stack([labels, values[:, 0]])
        np.savetxt(folder / f"{name}_{part}.{ending}", rows, fmt="%.17e", delimiter=parting)
    return folder


def write_npz(folder: Path, name: str, train, test) -> Path:
    """A set as an ``.npz`` file, the channels last."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "X_train": train[0].transpose(0, 2, 1),
        "y_train": train[1],
        "X_test": test[0].transpose(0, 2, 1),
        "y_test": test[1],
    }
    np.savez(folder / f"{name}.npz", **arrays)
    return folder
