"""The data and the network of a run, without training it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import yaml
from grid import Grid, settings_of
from lightning.pytorch import LightningDataModule

from dctnet.data.module import DCTDataModule
from dctnet.data.series import SeriesDataModule, is_of_series
from dctnet.packaged import packaged_file
from dctnet.training.classifier import Classifier


def untrained(grid: Grid, name: str, root: Path, **data_settings: object) -> tuple[LightningDataModule, Classifier]:
    """What ``dctnet fit`` makes of the row ``name`` on the data in ``root``; ``data_settings`` take the place of its own.

    ValueError or TypeError for options that the data or the network do not have.
    """
    config = yaml.safe_load(packaged_file("configs", grid["config"]).read_text())
    settings = settings_of(grid, name, config)
    settings["data"] |= {"root": str(root)} | data_settings
    if is_of_series(settings["data"]):
        series = SeriesDataModule(**settings["data"])
        return series, Classifier(**settings["model"], classes=series.classes, channels=series.channels)
    program = grid.get("program")
    kind = DCTDataModule if program is None else import_module(program).AugmentedData
    data = kind(**settings["data"])
    read = {part: getattr(data, part) for part in ("image_size", "resize_size", "block_size", "bands", "mean", "std")}
    return data, Classifier(**settings["model"], classes=data.classes, **read)
