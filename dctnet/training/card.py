"""``dctnet card``: a model card from a checkpoint and the run folder beside it. What only a human can say stays marked."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from string import Template
from typing import Any

import torch
import yaml

from dctnet import __version__
from dctnet.coefficients import block_sizes
from dctnet.data.folder import DataError
from dctnet.models.cost import multiply_adds, parameters
from dctnet.packaged import packaged_file, packaged_folder, packaged_names
from dctnet.source_tree import commit
from dctnet.training.classifier import Classifier
from dctnet.training.predict import load_classifier
from dctnet.whole_file import write_whole


def card(checkpoint: str | Path) -> str:
    """The model card of a checkpoint of ``dctnet fit``, as Markdown: ``models/CARD.md`` filled in.

    The run folder is the checkpoint's: its config.yaml says how the network was trained, its metrics.csv how well.
    DataError where these are absent.
    """
    checkpoint = Path(checkpoint)
    classifier, folder = load_classifier(checkpoint), checkpoint.parent
    for name in ("config.yaml", "metrics.csv"):
        if not (folder / name).is_file():
            raise DataError(f"there is no {name} beside {checkpoint}; a card is written from the whole folder of a run")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    with (folder / "metrics.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    if not epochs:
        raise DataError(f"{folder / 'metrics.csv'} has no epoch; train first")
    template = Template((packaged_folder("configs") / "CARD.md").read_text())
    return template.substitute(
        run=folder.name,
        version=f"{__version__} (commit {commit() or 'unknown'} wrote this card)",
        network=_table(_network(classifier)),
        training=_table(_training(config, epochs, folder)),
        measured=_measured(epochs),
        data=_table(_data(config["data"], classifier.hparams.classes)),
        checkpoint=checkpoint,
    )


def write_card(checkpoint: str, out: str) -> None:
    """``dctnet card``: the card as a file."""
    write_whole(out, card(checkpoint).encode())
    print(f"{out}: written; fill in what it marks as to be written")


def _table(rows: dict[str, Any]) -> str:
    lines = ["| | |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {_text(value)} |" for name, value in rows.items()])


def _text(value: Any) -> str:
    """A value in a cell: settings as YAML on one line, and no bar that would end the cell."""
    text = (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=10**6).partition("\n")[0]
    )
    return text.replace("|", "\\|")


def _network(classifier: Classifier) -> dict[str, Any]:
    options = classifier.hparams
    sizes, network = block_sizes(options.block_size), classifier.network
    adds = multiply_adds(network, options.image_size, sizes)
    return {
        "network": options.network,
        "options": options.options,
        "reads": f"blocks of {sizes[0]} (luma) and {sizes[1]} (chroma) of pictures of {options.image_size} px",
        "bands": "all" if options.bands is None else options.bands,
        "normalised by": "nothing" if options.mean is None else "mean and deviation of each band, in the checkpoint",
        "parameters": f"{parameters(network):,}",
        "multiply-adds": f"{adds:,} a picture",
    }


def _training(config: dict[str, Any], epochs: list[dict[str, str]], folder: Path) -> dict[str, Any]:
    model = {
        key: value for key, value in config["model"].items() if key not in ("network", "options") and value is not None
    }
    seconds = sum(float(epoch["seconds"]) for epoch in epochs)
    return {
        "command": f"`dctnet fit --config {folder / 'config.yaml'}`",
        "epochs": f"{len(epochs)} of {config['trainer']['max_epochs']}, {int(epochs[-1]['step']):,} steps",
        "batch size": config["data"]["batch_size"],
        "seed": config["seed_everything"],
        "settings": model,
        "time": f"{seconds / 60:.1f} minutes, validation included",
        "PyTorch that wrote the card": torch.__version__,
    }


def _measured(epochs: list[dict[str, str]]) -> str:
    validated = [epoch for epoch in epochs if epoch.get("val_top1")]
    if not validated:
        return "The run did not validate."
    best = max(validated, key=lambda epoch: float(epoch["val_top1"]))
    lines = ["| epoch | loss | top-1 | top-5 |", "|---|---:|---:|---:|"]
    for name, epoch in (("best", best), ("last", validated[-1])):
        top1, top5 = (100 * float(epoch[key]) for key in ("val_top1", "val_top5"))
        lines.append(
            f"| {name}, {int(epoch['epoch']) + 1} | {float(epoch['val_loss']):.4f} | {top1:.2f} % | {top5:.2f} % |"
        )
    return "\n".join(lines)


def _data(data: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    rows: dict[str, Any] = {"folder": data["root"], "classes": f"{len(classes)}: {shown}"}
    made = Path(data["root"]) / "prepared.json"
    if made.is_file():
        prepared = json.loads(made.read_text())
        rows |= {"pictures": f"{prepared['train']:,} for training, {prepared['val']:,} for validation"}
        if prepared["name"] in packaged_names("cards"):
            known = yaml.safe_load(packaged_file("cards", prepared["name"]).read_text())
            rows |= {"data set": prepared["name"], "source": known["source"], "licence": known["licence"]}
    crops = {key: data[key] for key in ("scale", "ratio", "flip", "augment", "erasing") if key in data}
    return rows | {"training crops": crops}
