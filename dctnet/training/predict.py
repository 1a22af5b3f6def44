"""``dctnet predict``: files in, a table of class names and probabilities out."""

from __future__ import annotations

import csv
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dctnet.data.folder import DataError, FileList, find_images
from dctnet.data.module import ending, evaluation_transform
from dctnet.data.torch_loader import KeyedLoader
from dctnet.device import usable_device
from dctnet.training.checkpoints import read_checkpoint
from dctnet.training.classifier import Classifier
from dctnet.whole_file import room_for


class Prediction(NamedTuple):
    """A file with its most probable classes, best first; or with the reason why it could not be read."""

    path: str
    classes: tuple[tuple[str, float], ...]
    error: str | None = None


def load_classifier(checkpoint: str | Path) -> Classifier:
    """The trained classifier in evaluation mode, from a checkpoint alone. DataError where the file is no such checkpoint."""
    content = read_checkpoint(checkpoint)
    settings = content.get("hyper_parameters", {})
    if "classes" not in settings or "network" not in settings:
        raise DataError(
            f"{checkpoint} does not say how its network was made: it was not written by `dctnet fit`, or the network was "
            "passed as a module. In Python: Classifier.load_from_checkpoint(path, network=...)."
        )
    classifier = Classifier(**settings)
    classifier.load_state_dict(content["state_dict"])
    return classifier.eval()


def expand(files: list[str]) -> list[str]:
    """The files, and the JPEG files below those that are folders. DataError for a path that does not exist."""
    paths = []
    for file in files:
        if Path(file).is_dir():
            found = find_images(file)
            if not found:
                raise DataError(f"there are no JPEG files in {file}")
            paths += found
        elif Path(file).exists():
            paths.append(file)
        else:
            raise DataError(f"there is no file or folder {file}")
    return paths


@torch.inference_mode()
def predict(
    classifier: Classifier,
    paths: list[str],
    top: int = 5,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
) -> list[Prediction]:
    """The ``top`` most probable classes of each file, in the order of ``paths``; unreadable files carry their reason.

    Files that came through pixels are counted in one warning.
    """
    if top < 1:
        raise DataError(f"--top is the number of classes to show, at least 1; got {top}")
    device = usable_device(device)
    settings = classifier.hparams
    last = ending(*(settings.get(name) for name in ("bands", "mean", "std")))
    transform = evaluation_transform(settings.resize_size, settings.image_size, settings.block_size, last)
    loader = KeyedLoader(FileList(paths, transform), batch_size, workers=workers, max_broken=1.0, report=False)
    classifier = classifier.to(device)
    found: dict[int, Prediction] = {}
    broken: dict[str, str] = {}
    through_pixels: set[str] = set()
    for batch in loader:
        broken.update(batch.broken)
        through_pixels.update(path for path, _ in batch.through_pixels)
        if batch.coefficients is None:
            continue
        probabilities = classifier(batch.coefficients.to(device)).float().softmax(dim=1).cpu()
        best = probabilities.topk(min(top, len(settings.classes)), dim=1)
        for index, values, labels in zip(
            batch.indices.tolist(), best.values.tolist(), best.indices.tolist(), strict=True
        ):
            names = (settings.classes[label] for label in labels)
            found[index] = Prediction(paths[index], tuple(zip(names, values, strict=True)))
    if through_pixels:
        warnings.warn(
            f"{len(through_pixels)} of {len(paths)} files were read through pixels, slower and rounded", stacklevel=2
        )
    return [found.get(index) or Prediction(path, (), broken[path]) for index, path in enumerate(paths)]


def predict_files(
    checkpoint: str,
    files: list[str],
    top: int = 5,
    out: str | None = None,
    rows: int = 50,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
) -> int:
    """Print the table, write it to ``out``, and say the accuracy over files whose folder is named after a class.

    Returns the exit status: 1 where no file could be read, else 0.
    """
    if rows < 0:
        raise DataError(f"--rows is the number of rows to print, at least 0; got {rows}")
    classifier = load_classifier(checkpoint)
    if classifier.hparams.channels is not None:
        raise DataError(
            f"{checkpoint} is of a network on time series, and predict reads JPEG files. `dctnet test --config NAME --ckpt_path "
            f"{checkpoint}` says how many series of a set it gets right; in Python: load_classifier(path)(series)."
        )
    predictions = predict(classifier, expand(files), top, batch_size, workers, device)
    if out is not None:
        write_table(predictions, min(top, len(classifier.hparams.classes)), out)
    # On a terminal its width; in a file or a pipe, as wide as the rows are.
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table("file", f"top {min(top, len(classifier.hparams.classes))} classes")
    for prediction in predictions[:rows]:
        # Text, since rich takes brackets in the names of files and classes for markup.
        shown = Text("  ".join(f"{name} {value:.1%}" for name, value in prediction.classes))
        if prediction.error is not None:
            shown = Text.assemble(("not read: ", "red"), prediction.error)
        table.add_row(Text(prediction.path), shown)
    console.print(table)
    if len(predictions) > rows:
        print(f"and {len(predictions) - rows} more files" + (f" in {out}" if out else "; --out TABLE.csv has them all"))
    known = [p for p in predictions if p.error is None and Path(p.path).parent.name in classifier.hparams.classes]
    if known:
        right = sum(p.classes[0][0] == Path(p.path).parent.name for p in known)
        print(
            f"top-1 accuracy {right / len(known):.2%}: {right} of {len(known)} files lie in the folder of their class"
        )
    unread = [p for p in predictions if p.error is not None]
    if unread:
        print(
            f"{len(unread)} of {len(predictions)} files could not be read, {unread[0].path}: {unread[0].error}"
            + (", ..." if len(unread) > 1 else ""),
            file=sys.stderr,
        )
    return int(len(unread) == len(predictions))


def write_table(predictions: list[Prediction], top: int, out: str | Path) -> None:
    """One CSV row a file: file, class_1, probability_1, ..., error."""
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with room_for(out), open(out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["file", *(f"{name}_{k}" for k in range(1, top + 1) for name in ("class", "probability")), "error"]
        )
        for prediction in predictions:
            cells = [cell for name, value in prediction.classes for cell in (name, f"{value:.6f}")]
            writer.writerow([prediction.path, *cells, *[""] * (2 * top - len(cells)), prediction.error or ""])
