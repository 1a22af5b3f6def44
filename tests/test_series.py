"""Batches of time series by their keys, and `dctnet fit` on sets of them, from the file to the accuracy."""

import csv

import pytest
import torch
import yaml

from dctnet.cli import main
from dctnet.data.keyed_sampling import epoch_order
from dctnet.data.series import SeriesDataModule, SeriesLoader
from dctnet.data.ucr import Split
from dctnet.training.classifier import Classifier
from dctnet.training.predict import load_classifier
from tests.series_sets import tones, write_ts

LIGHTNING = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:.*many workers"
)  # Lightning's own use of others


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A set of two channels, a file of a run on it, and that run in runs/tones."""
    place = tmp_path_factory.mktemp("series")
    write_ts(place / "ucr", "Tones", tones(46, 0, channels=2), tones(50, 1, channels=2))
    run = {
        "seed_everything": 3,
        "trainer": {"default_root_dir": "runs/tones", "accelerator": "cpu", "devices": 1, "max_epochs": 8},
        "model": {"network": "bandlimited_fcn", "options": {"width": 0.125, "compression": 0.5}},
        "data": {"root": "ucr", "name": "Tones", "batch_size": 8},
    }
    run["model"] |= {"optimizer": "adamw", "lr": 0.02, "weight_decay": 0.01, "ema": 0.9}
    (place / "tones.yaml").write_text(yaml.safe_dump(run))
    return place


def split(n: int) -> Split:
    values, waves = tones(n, 0, length=6)
    return Split(torch.from_numpy(values).float(), torch.from_numpy(waves) // 5, "memory")


def test_an_epoch_is_the_keyed_order_whole():
    data = split(11)
    loader = SeriesLoader(data, 4, shuffle=True, seed=5)
    assert len(loader) == 3
    for epoch in range(2):
        batches = list(loader)
        assert [batch.planned for batch in batches] == [4, 4, 3]
        assert torch.cat([batch.indices for batch in batches]).tolist() == epoch_order(11, 5, epoch)
        for batch in batches:
            assert torch.equal(batch.inputs, data.values[batch.indices])
            assert torch.equal(batch.labels, data.labels[batch.indices])


@pytest.mark.parametrize("stop", [1, 3])
def test_a_loader_goes_on_at_its_place(stop):
    settings = {"shuffle": True, "seed": 2}
    whole = SeriesLoader(split(11), 4, **settings)
    expected = [batch.indices.tolist() for _ in range(2) for batch in whole]
    first, second = SeriesLoader(split(11), 4, **settings), SeriesLoader(split(11), 4, **settings)
    passing = iter(first)
    found = [next(passing).indices.tolist() for _ in range(stop)]
    second.load_state_dict(first.state_dict())
    found += [batch.indices.tolist() for batch in second]
    found += [batch.indices.tolist() for batch in second] if stop < 3 else []
    assert found == expected


def test_ranks_take_parts_of_the_same_steps():
    whole = [batch.indices.tolist() for batch in SeriesLoader(split(11), 4, shuffle=True)]
    parts = [list(SeriesLoader(split(11), 4, shuffle=True, rank=rank, ranks=2)) for rank in range(2)]
    for step, (a, b) in enumerate(zip(*parts, strict=True)):
        assert a.planned == b.planned  # the last step is filled up from the first
        assert set(whole[step]) <= {*a.indices.tolist(), *b.indices.tolist()}
    # In validation each series comes once, and a rank may have none at the end.
    parts = [list(SeriesLoader(split(9), 4, rank=rank, ranks=2)) for rank in range(2)]
    assert sorted(index for part in parts for batch in part for index in batch.indices.tolist()) == list(range(9))
    assert parts[1][-1].inputs is None and parts[1][-1].labels.dtype == torch.int64


def test_the_data_module_knows_its_set(place):
    data = SeriesDataModule(place / "ucr", "Tones", z_normalise=True)
    assert (data.classes, data.channels, data.length) == (["2", "5"], 2, 40)
    (batch,) = SeriesDataModule(place / "ucr", "Tones", batch_size=50).val_dataloader()
    values, waves = tones(50, 1, channels=2)
    assert torch.equal(batch.series, torch.from_numpy(values).float())
    assert [data.classes[label] for label in batch.labels] == list(map(str, waves))
    assert data.series.train.values.mean(2).abs().max() < 1e-6
    with pytest.raises(ValueError, match="batch_size is a whole number at least 1; got 0"):
        SeriesDataModule("ucr", "Tones", batch_size=0)


@LIGHTNING
def test_a_set_is_learned_and_tested_by_the_command_line(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["fit", "--config", "tones.yaml"]) == 0
    with open("runs/tones/metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(6, 54, 6))  # 46 series in batches of 8
    assert float(rows[-1]["val_top1"]) >= 0.96
    capsys.readouterr()
    for stage in ("validate", "test"):
        assert main([stage, "--config", "runs/tones/config.yaml", "--ckpt_path", "last"]) == 0
        loss, top1 = (float(rows[-1][f"val_{name}"]) for name in ("loss", "top1"))
        told = f"{stage.removesuffix('idate')} loss {loss:.4f}  top-1 {100 * top1:.2f} %"
        printed = capsys.readouterr().out
        assert told in printed and "50 series in ucr/Tones_TEST.ts" in printed

    model = load_classifier("runs/tones/last.ckpt")
    assert model.hparams.classes == ["2", "5"] and model.hparams.channels == 2
    values, waves = tones(50, 1, channels=2)
    with torch.inference_mode():
        named = [model.hparams.classes[place] for place in model(torch.from_numpy(values)).argmax(1)]
    right = sum(name == str(wave) for name, wave in zip(named, waves, strict=True))
    assert right / 50 == pytest.approx(float(rows[-1]["val_top1"]), abs=1e-4)

    errors = {
        ("predict", "runs/tones/last.ckpt", "ucr"): "is of a network on time series, and predict reads JPEG files",
        ("export", "runs/tones/last.ckpt", "x.onnx"): "FCN reads series, no pictures",
        ("card", "runs/tones/last.ckpt", "x.md"): "FCN reads series, no pictures",
        ("summary", "runs/tones/last.ckpt"): "FCN reads series, no pictures",
        (
            "test",
            "--config",
            "tones.yaml",
            "--model.options.width=0.25",
        ): "was trained with options {'compression': 0.5, 'width': 0.125}, these",
        ("fit", "--config", "tones.yaml", "--data.name=Noises"): "there is no set 'Noises' in ucr: no Noises_TRAIN.ts",
        (
            "fit",
            "--config",
            "tones.yaml",
            "--model.network=late_concat",
        ): "late_concat reads pictures, and the data are time",
    }
    for arguments, message in errors.items():
        new = ["--trainer.default_root_dir=runs/new"] if arguments[0] == "fit" else []
        assert main([*arguments, *new]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


class Killed(Exception):
    pass


@LIGHTNING
@pytest.mark.parametrize("killed_at", [11, 12], ids=["within_an_epoch", "after_an_epoch"])
def test_a_run_that_is_resumed_ends_with_the_same_weights(place, monkeypatch, capsys, killed_at):
    """To the bit: 6 steps an epoch, a checkpoint every 5 and at the end of each epoch."""
    monkeypatch.chdir(place)
    run = ["fit", "--config", "tones.yaml", "--trainer.max_epochs=3", "--checkpoint_every_n_steps=5"]
    start = Classifier.on_train_batch_start
    assert main([*run, f"--trainer.default_root_dir=runs/straight_{killed_at}"]) == 0

    def killed(self, batch, batch_idx):
        if self.global_step == killed_at:
            raise Killed
        start(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(Classifier, "on_train_batch_start", killed)
        with pytest.raises(Killed):
            main([*run, f"--trainer.default_root_dir=runs/killed_{killed_at}"])
    ends = [torch.load(f"runs/{name}_{killed_at}/last.ckpt", weights_only=True) for name in ("straight", "killed")]
    assert ends[0]["global_step"] == 18 and ends[1]["global_step"] == {11: 10, 12: 12}[killed_at]
    assert main([*run, f"--trainer.default_root_dir=runs/killed_{killed_at}", "--ckpt_path", "last"]) == 0
    resumed = torch.load(f"runs/killed_{killed_at}/last.ckpt", weights_only=True)
    assert resumed["global_step"] == 18
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, ends[0][part][name]) for name, value in resumed[part].items())
