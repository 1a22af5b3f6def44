"""The command line: what a user types, what comes back, and one clear line where it cannot work."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from PIL import Image

from dctnet import __version__
from dctnet.benchmarks.read import show
from dctnet.cli import COMMANDS, main
from dctnet.coefficients import stack
from dctnet.data.module import DCTDataModule, evaluation_transform
from dctnet.data.recipes import prepare
from dctnet.data.series import is_of_series
from dctnet.jpeg.reader import read_jpeg
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.zoo import create_model
from dctnet.packaged import packaged_file, packaged_names
from dctnet.report.figures import band_energy
from dctnet.training.classifier import Classifier
from dctnet.training.commands import resolve_configs
from dctnet.training.predict import load_classifier, predict

ROOT = Path(__file__).resolve().parents[1]
LIGHTNING = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:.*many workers"
)  # Lightning's own use of others


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a part of the digits, and a short run on them in runs/short, through the command line."""
    place = tmp_path_factory.mktemp("cli")
    whole = prepare("digits", place / "whole")
    for split, count in (("train", 10), ("val", 4)):
        for digit in (3, 7):
            (place / "part" / split / str(digit)).mkdir(parents=True)
            for path in sorted((whole / split / str(digit)).iterdir())[:count]:
                path.rename(place / "part" / split / str(digit) / path.name)
    run = yaml.safe_load(packaged_file("configs", "digits").read_text())
    run["trainer"] |= {"max_epochs": 2, "default_root_dir": "runs/short", "accelerator": "cpu"}
    run["model"] |= {"network": "late_concat", "options": {"depth": 18, "width": 0.1}, "ema": None, "warmup_epochs": 0}
    run["data"] |= {"root": "part", "batch_size": 10, "workers": 0, "block_size": [4, 2]}
    (place / "short.yaml").write_text(yaml.safe_dump(run))
    done = command(place, "fit", "--config", "short.yaml")
    assert done.returncode == 0, done.stderr
    (place / "fit.out").write_text(done.stdout)
    (place / "fit.err").write_text(done.stderr)
    return place


def command(place, *arguments, timeout=120):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "dctnet.cli", *arguments],
        cwd=place, env=environment, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def test_help_names_every_command_and_loads_no_torch(capsys):
    assert main([]) == main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"dctnet {name}" in text for name in COMMANDS)
    probe = (
        "import sys; from dctnet.cli import main; main(['--help']); main(['--version']);"
        "print(sorted({'torch', 'lightning', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-2:] == [f"dctnet {__version__}", "[]"]


def test_a_fit_leaves_its_results_and_says_little(place):
    folder = place / "runs" / "short"
    assert {path.name for path in folder.iterdir()} == {
        "best.ckpt", "last.ckpt", "config.yaml", "metrics.csv", "tensorboard",
    }  # fmt: skip
    with open(folder / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"]) for row in rows] == [("0", "2"), ("1", "4")]
    lines = (place / "fit.out").read_text().splitlines()
    assert lines[0].startswith("epoch 1/2  train loss") and lines[2].startswith("best validation top-1")
    assert f"{100 * float(rows[1]['val_top1']):.2f} %" in lines[1]
    assert (place / "fit.err").read_text() == ""


def other_classes(place):
    """The same files under the names 4 and 8."""
    if not (place / "other").exists():
        for split in ("train", "val"):
            for old, new in (("3", "4"), ("7", "8")):
                shutil.copytree(place / "part" / split / old, place / "other" / split / new)
    return "other"


@LIGHTNING
@pytest.mark.parametrize("stage", ["validate", "test", "fit"])
def test_a_checkpoint_of_other_classes_is_refused(place, monkeypatch, capsys, stage):
    monkeypatch.chdir(place)
    resume = ["--ckpt_path", "runs/short/best.ckpt", "--data.root", other_classes(place)]
    assert main([stage, "--config", "short.yaml", *resume]) == 2
    expected = "runs/short/best.ckpt was trained with classes 3, 7, these settings and files have 4, 8. Give the data"
    assert expected in capsys.readouterr().err.splitlines()[-1]


@LIGHTNING
@pytest.mark.parametrize(
    "setting", ["data.block_size=[2, 2]", "model.network=late_concat_rfa", "model.options.width=0.5"]
)
def test_the_checkpoint_of_another_network_is_refused(place, monkeypatch, capsys, setting):
    monkeypatch.chdir(place)
    assert main(["validate", "--config", "short.yaml", f"--{setting}"]) == 2
    assert f"was trained with {setting.split('=')[0].split('.')[1]} " in capsys.readouterr().err.splitlines()[-1]


@LIGHTNING
def test_a_network_of_chosen_bands_is_trained_and_predicts(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    settings = ["--data.block_size=8", "--data.bands=24", "--data.statistics=cifar10", "--data.workers=0"]
    assert main(["fit", "--config", "short.yaml", "--trainer.default_root_dir=runs/bands", *settings]) == 0
    model = load_classifier("runs/bands/best.ckpt")
    assert [len(kept) for kept in model.network.bands] == [16, 4, 4]
    files = sorted(map(str, (place / "part" / "val").glob("*/*.jpg")))
    data = DCTDataModule("part", image_size=64, resize_size=64, bands=24, statistics="cifar10", workers=0)
    with torch.inference_mode():
        logits = model(stack([data.val_set[index][0] for index in range(len(files))]))
    for one, expected in zip(predict(model, files), logits.softmax(1), strict=True):
        assert one.classes[0][1] == pytest.approx(expected.max().item(), abs=1e-4)
    capsys.readouterr()
    checkpoint = "--ckpt_path=runs/bands/best.ckpt"
    assert main(["validate", "--config", "short.yaml", "--data.block_size=8", "--data.workers=0", checkpoint]) == 2
    assert "was trained with bands " in capsys.readouterr().err.splitlines()[-1]


@LIGHTNING
def test_a_network_is_validated_at_another_size(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["validate", "--config", "short.yaml", "--data.image_size=48"]) == 0
    assert "top-1" in capsys.readouterr().out


@LIGHTNING
def test_starting_over_is_said_each_time_and_leaves_nothing_old(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    again, folder = ["fit", "--config", "short.yaml", "--trainer.max_epochs", "1"], Path("runs/again")
    again += ["--trainer.default_root_dir", str(folder)]
    for extra in ([], ["--overwrite", "true"]):
        assert main(again + extra) == 0
        assert len(list((folder / "tensorboard").glob("events*"))) == 1
        (folder / "broken.csv").write_text("path,reason\n")
    assert not {"overwrite", "ckpt_path"} & yaml.safe_load((folder / "config.yaml").read_text()).keys()
    before = (folder / "last.ckpt").read_bytes()
    assert main(["fit", "--config", str(folder / "config.yaml")]) == 2
    assert (folder / "last.ckpt").read_bytes() == before
    (folder / "last.ckpt").unlink()
    assert main(again) == 2
    assert "runs/again holds a run already. Go on with it: --ckpt_path best." in capsys.readouterr().err
    assert main([*again, "--overwrite", "true"]) == 0
    assert not (folder / "broken.csv").exists()


@LIGHTNING
def test_a_run_without_validation(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    run = ["--config", "short.yaml", "--trainer.default_root_dir", "runs/blind"]
    assert main(["fit", *run, "--trainer.max_epochs", "0"]) == 0
    assert capsys.readouterr().out == "no epoch was trained, there is no checkpoint in runs/blind\n"
    assert main(["fit", *run, "--trainer.max_epochs", "1", "--trainer.limit_val_batches", "0"]) == 0
    assert "no validation, so no best.ckpt  checkpoints and logs in runs/blind" in capsys.readouterr().out
    assert main(["validate", *run]) == 0
    printed = capsys.readouterr()
    assert "taking last.ckpt" in printed.err and "8 files in part/val" in printed.out


@LIGHTNING
@pytest.mark.filterwarnings("ignore:2 of 20 files could not be read")
def test_precision_clipping_sparse_validation_and_broken_files(place, monkeypatch):
    """bf16 and the clip arrive at the network; epochs without validation have empty cells; broken.csv names the files."""
    monkeypatch.chdir(place)
    shutil.copytree("part", "damaged")
    cut = sorted(Path("damaged/train").glob("*/*.jpg"))[:2]
    for path in cut:
        path.write_bytes(path.read_bytes()[:700])
    dtypes, norms = set(), []
    monkeypatch.setattr(
        Classifier, "forward", lambda self, planes: (out := self.network(planes), dtypes.add(out.dtype))[0]
    )

    def record(self, optimizer):  # before the next step: the gradients that the last one used
        gradients = [parameter.grad.flatten() for parameter in self.parameters() if parameter.grad is not None]
        norms.extend([torch.cat(gradients).norm().item()] if gradients else [])

    monkeypatch.setattr(Classifier, "on_before_zero_grad", record)
    arguments = ["--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=2", "--trainer.precision=bf16-mixed"]
    arguments += ["--trainer.gradient_clip_val=0.01", "--data.root=damaged", "--data.max_broken=0.2"]
    assert main(["fit", "--config", "short.yaml", "--trainer.default_root_dir=runs/mixed", *arguments]) == 0
    assert dtypes == {torch.bfloat16}
    assert len(norms) >= 4 and max(norms) == pytest.approx(0.01, rel=1e-3)
    with open("runs/mixed/metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [[bool(row[name]) for name in ("val_loss", "val_top1", "val_top5")] for row in rows] == [
        [False] * 3, [True] * 3, [False] * 3,
    ]  # fmt: skip
    with open("runs/mixed/broken.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["path"] for row in rows) == [str(path) for path in cut]
    assert all(row["reason"].startswith("byte ") for row in rows)


def test_the_saved_settings_repeat_the_run(place):
    saved = yaml.safe_load((place / "runs" / "short" / "config.yaml").read_text())
    assert saved["model"]["options"] == {"depth": 18, "width": 0.1} and saved["data"]["root"] == "part"


def test_a_checkpoint_is_plain_and_knows_its_classes(place):
    content = torch.load(place / "runs" / "short" / "best.ckpt", weights_only=True)
    settings = content["hyper_parameters"]
    assert settings["classes"] == ["3", "7"]
    assert (settings["image_size"], settings["resize_size"], settings["block_size"]) == (64, 64, (4, 2))


@LIGHTNING
def test_validate_and_test_repeat_the_accuracy_of_the_best_epoch(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    with open("runs/short/metrics.csv") as file:
        best = max(csv.DictReader(file), key=lambda row: float(row["val_top1"]))
    for stage in ("validate", "test"):  # without a folder test/, test reads val/
        assert main([stage, "--config", "short.yaml"]) == 0
        expected = f" loss {float(best['val_loss']):.4f}  top-1 {100 * float(best['val_top1']):.2f} %"
        printed = capsys.readouterr().out
        assert expected in printed and "8 files in part/val" in printed


def test_predict_agrees_with_the_network_and_survives_broken_files(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    good = sorted((place / "part" / "val").glob("*/*.jpg"))
    Path("odd").mkdir()
    (place / "odd" / "cut.jpg").write_bytes(good[0].read_bytes()[:400])
    (place / "odd" / "text.jpg").write_text("no picture at all")
    out = place / "tables" / "predictions.csv"
    assert (
        main(["predict", "runs/short/best.ckpt", "part/val", "odd", str(good[3]), "--top", "2", "--out", str(out)]) == 0
    )
    printed = capsys.readouterr()
    assert "not read" in printed.out and "2 of 11 files could not be read" in printed.err
    with open(out) as file:
        rows = list(csv.DictReader(file))
    names = ["part/val/" + "/".join(path.parts[-2:]) for path in good] + ["odd/cut.jpg", "odd/text.jpg", str(good[3])]
    assert [row["file"] for row in rows] == names
    assert [bool(row["error"]) for row in rows] == [False] * 8 + [True] * 2 + [False]

    model = load_classifier("runs/short/best.ckpt")
    data = DCTDataModule("part", image_size=64, resize_size=64, block_size=(4, 2), workers=0)
    with torch.inference_mode():
        for row, index in zip(rows, range(8), strict=False):
            sample, _ = data.val_set[index]
            expected = model(sample.map(lambda plane: plane[None])).softmax(1)[0]
            assert float(row["probability_1"]) == pytest.approx(expected.max().item(), abs=2e-6)
            assert row["class_1"] == data.classes[expected.argmax()]
            assert float(row["probability_1"]) + float(row["probability_2"]) == pytest.approx(1, abs=3e-6)
    right = sum(row["class_1"] == Path(row["file"]).parent.name for row in rows[:8])
    right += rows[10]["class_1"] == good[3].parent.name
    assert f"{right} of 9 files lie in the folder of their class" in printed.out
    assert [p.classes for p in predict(model, names[:3], workers=2)] == [p.classes for p in predict(model, names[:3])]


@LIGHTNING
@pytest.mark.parametrize(
    "arguments,message",
    [
        (["frobnicate"], "there is no command 'frobnicate'; there are: prepare, fit"),
        (["fit"], "say which run: --config NAME_OR_FILE; the runs that come with dctnet: "),
        (["fit", "--config", "digit"], "there is no config called 'digit', and no such file; known: "),
        (["fit", "--config", "digits", "--data.root", "nowhere"], "there is no folder nowhere/train. Make a data set first"),
        (["fit", "--config", "short.yaml"], "runs/short holds a run already. Go on with it: --ckpt_path last"),
        (["fit", "--config", "short.yaml", "--ckpt_path", "other.ckpt"], "there is no checkpoint other.ckpt"),
        (["fit", "--config", "short.yaml", "--overwrite", "true", "--model.network", "resnet"], "there is no network 'resnet'"),
        (["validate", "--config", "short.yaml", "--trainer.default_root_dir", "runs/new"], "no checkpoint runs/new/best.ckpt"),
        (["predict", "absent.ckpt", "part"], "there is no checkpoint absent.ckpt"),
        (["predict", "short.yaml", "part"], "is not a checkpoint"),
        (["predict", "runs/short/best.ckpt", "absent"], "there is no file or folder absent"),
        (["predict", "runs/short/best.ckpt", "runs"], "there are no JPEG files in runs"),
        (["prepare", "mnist"], "there is no data set 'mnist'"),
        (["inspect", "absent.jpg"], "absent.jpg"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_errors_are_one_line_and_status_2(place, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(place)
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error
    assert error.startswith("dctnet")


@LIGHTNING
@pytest.mark.parametrize(
    "arguments,message",
    [
        (["fit", "--model.lr=-1"], "lr is a number of at least 0; got -1"),
        (["fit", "--data.workers=-1"], "workers is a whole number at least 0; got -1"),
        (["fit", f"--trainer.accelerator={'tpu' if torch.cuda.is_available() else 'cuda'}"], "trainer's settings do not work"),
        (["fit", "--trainer.accelerator=foo"], "trainer's settings do not work here: You selected an invalid accelerator name"),
        (["predict", "--device", "foo"], "there is no usable device 'foo' here"),
        (["predict", "--workers", "-1"], "workers is a whole number at least 0; got -1"),
        (["predict", "--rows", "-1"], "--rows is the number of rows to print"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_values_that_cannot_work(place, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(place)
    command, *rest = arguments
    run = {
        "fit": ["--config", "short.yaml", "--trainer.default_root_dir", "runs/never"],
        "predict": ["runs/short/best.ckpt", "part/val"],
    }[command]
    assert main([command, *run, *rest]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith(f"dctnet {command}: ") and message in error[0]


def test_predict_fails_where_no_file_can_be_read(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    Path("text.jpg").write_text("no picture at all")
    assert main(["predict", "runs/short/best.ckpt", "text.jpg"]) == 1
    assert "1 of 1 files could not be read, text.jpg: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["IMG[edited].jpg", "a[/x].jpg", "cost$5_$6^.jpg", "[red].jpg", ":smile:.jpg"])
def test_names_are_shown_as_they_are(place, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    good = sorted((place / "part" / "val").glob("*/*.jpg"))[0].read_bytes()
    for folder, content in (("odd", good), ("cut", good[:400])):
        (Path(folder) / name).parent.mkdir(parents=True)
        (Path(folder) / name).write_bytes(content)
    model = str(place / "runs" / "short" / "best.ckpt")
    assert main(["predict", model, f"odd/{name}", f"cut/{name}"]) == 0
    printed = capsys.readouterr().out
    assert f"odd/{name} " in printed and f"cut/{name} " in printed
    assert main(["inspect", f"odd/{name}", "--out", "picture.png"]) == 0
    show([{"reader": "other", "missing": "absent"}], name, 1, 3)
    assert name in capsys.readouterr().out


@LIGHTNING
@pytest.mark.parametrize("wrong", ["--model.lrr=1", "--data.batch_size=many"])
def test_settings_that_do_not_exist(place, monkeypatch, capsys, wrong):
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", "digits", wrong])
    assert stop.value.code == 2
    assert wrong.split("=")[0].removeprefix("--") in capsys.readouterr().err


def test_errors_of_the_program_itself_keep_their_traceback(monkeypatch):
    def broken(arguments):
        int("x")

    monkeypatch.setitem(COMMANDS, "inspect", broken)
    with pytest.raises(ValueError, match="invalid literal"):
        main(["inspect", "a.jpg"])


@LIGHTNING
def test_a_trained_network_becomes_an_onnx_file(place, monkeypatch, capsys):
    """onnxruntime gives the probabilities of `dctnet predict` for the planes of its transform."""
    monkeypatch.chdir(place)
    assert main(["export", "runs/short/best.ckpt", "short.onnx"]) == 0
    assert float(re.search(r"differ by (\S+) at most", capsys.readouterr().out)[1]) < 1e-4
    session = onnxruntime.InferenceSession("short.onnx", providers=["CPUExecutionProvider"])
    about = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert about["classes"] == ["3", "7"] and about["block_size"] == [4, 2] and about["image_size"] == 64
    assert about["network"] == "late_concat" and about["bands"] is None and about["mean"] is None
    transform = evaluation_transform(about["resize_size"], about["image_size"], tuple(about["block_size"]))
    paths = sorted(str(path) for path in Path("part/val").rglob("*.jpg"))
    planes = stack([transform(read_jpeg(path)) for path in paths])
    (logits,) = session.run(None, {name: getattr(planes, name).numpy() for name in ("y", "cb", "cr")})
    assert len(paths) == 8 and logits.shape == (8, 2)
    for row, found in zip(
        torch.from_numpy(logits).softmax(1), predict(load_classifier("runs/short/best.ckpt"), paths), strict=True
    ):
        for name, probability in found.classes:
            assert row[about["classes"].index(name)].item() == pytest.approx(probability, abs=1e-4)


@LIGHTNING
def test_a_card_tells_what_the_run_was(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["card", "runs/short/best.ckpt", "cards/short.md"]) == 0
    text = Path("cards/short.md").read_text()
    assert "$" not in text and text.count("to be written") + text.count("To be written") == 3
    model = load_classifier("runs/short/best.ckpt").network
    assert f"| parameters | {parameters(model):,} |" in text
    assert f"| multiply-adds | {multiply_adds(model, 64, (4, 2)):,} a picture |" in text
    assert "| network | late_concat |" in text and "{depth: 18, width: 0.1}" in text and "| seed | 0 |" in text
    epochs = list(csv.DictReader(Path("runs/short/metrics.csv").read_text().splitlines()))
    best = max(epochs, key=lambda epoch: float(epoch["val_top1"]))
    assert f"| best, {int(best['epoch']) + 1} |" in text and f"{100 * float(best['val_top1']):.2f} %" in text
    shutil.copy("runs/short/best.ckpt", "alone.ckpt")
    assert main(["card", "alone.ckpt", "alone.md"]) == 2
    assert "there is no config.yaml beside alone.ckpt" in capsys.readouterr().err


@LIGHTNING
def test_summaries_of_names_and_of_checkpoints(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert (
        main(
            [
                "summary",
                "late_concat",
                "--options",
                "{depth: 18, width: 0.1, num_classes: 2, block_size: [4, 2]}",
                "--size",
                "64",
            ]
        )
        == 0
    )
    named = capsys.readouterr().out
    assert main(["summary", "runs/short/best.ckpt", "--size", "64"]) == 0
    assert capsys.readouterr().out == named and "64 x 64 pixels" in named
    assert f"{parameters(load_classifier('runs/short/best.ckpt').network):,}" in named
    for wrong, says in (
        (["late_concat", "--options", "[1"], "--options are written as in YAML"),
        (["late_concat", "--options", "7"], "--options are names and values"),
        (["late_concat", "--options", "{1: 2}"], "--options are names and values"),
        (["late_concat", "--size", "0"], "--size is a side"),
        (["late_conct"], "did you mean late_concat"),
        (["runs/short/best.ckpt", "--options", "{depth: 18}"], "leave --options out"),
    ):
        assert main(["summary", *wrong]) == 2
        assert says in capsys.readouterr().err


def test_config_names_become_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("trainer: {}")
    digits = str(packaged_file("configs", "digits"))
    assert resolve_configs(["--config", "digits", "--a", "digits"]) == ["--config", digits, "--a", "digits"]
    assert resolve_configs(["--config=digits", "-c", "own.yaml"]) == [f"--config={digits}", "-c", "own.yaml"]
    assert resolve_configs(["--help"]) == ["--help"]


@LIGHTNING
@pytest.mark.parametrize("name", packaged_names("configs"))
def test_every_run_that_comes_along_is_valid(name, tmp_path, monkeypatch, capsys):
    """The command line accepts it, and its network takes the planes that its data will have."""
    with pytest.raises(SystemExit) as stop:
        main(["fit", "--config", name, "--print_config"])
    assert stop.value.code == 0
    run = yaml.safe_load(capsys.readouterr().out)
    head = packaged_file("configs", name).read_text().splitlines()
    assert head[0].startswith("# ") and any(f"dctnet fit --config {name}" in line for line in head[:20])
    # what it takes: measured, or computed from something measured
    assert any(
        word in line
        for line in head
        if line.startswith("#")
        for word in ("Measured", "Estimate, not a measured", "table in README.md")
    )
    if is_of_series(run["data"]):
        with torch.inference_mode():
            model = create_model(run["model"]["network"], 10, **run["model"]["options"] or {})
            assert model.eval()(torch.zeros(1, 1, 24)).shape == (1, 10)
        return
    model = create_model(
        run["model"]["network"], 10, block_size=_pair(run["data"]["block_size"]), **run["model"]["options"]
    )
    size = run["data"]["image_size"]
    with torch.inference_mode():
        assert model.eval()(blank(size, _pair(run["data"]["block_size"]))).shape == (1, 10)


@LIGHTNING
def test_options_of_mixing_and_erasing(capsys):
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "fit",
                "--config",
                "digits",
                "--model.mixup=0.2",
                "--model.cutmix",
                "1",
                "--data.erasing=0.25",
                "--print_config",
            ]
        )
    assert stop.value.code == 0
    run = yaml.safe_load(capsys.readouterr().out)
    assert (run["model"]["mixup"], run["model"]["cutmix"], run["data"]["erasing"]) == (0.2, 1.0, 0.25)


def _pair(value):
    return tuple(value) if isinstance(value, list) else value


def test_prepare_by_the_command_line(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    with zipfile.ZipFile("tree.zip", "w") as archive:
        for path in sorted(Path("part").rglob("*.jpg")):
            archive.write(path)
    assert main(["prepare", "clothing", "from_zip", "--source", "tree.zip"]) == 0
    assert "20 training and 8 validation files in 2 classes" in capsys.readouterr().out
    assert main(["prepare", "clothing", "from_zip"]) == 0
    assert "already" in capsys.readouterr().out


def test_inspect_draws(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    file = sorted(Path("part").rglob("*.jpg"))[0]
    assert main(["inspect", str(file), "--out", "digit.png"]) == 0
    assert capsys.readouterr().out.strip() == "digit.png"
    assert Path("digit.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_of_several_needs_a_folder(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    files = [str(path) for path in sorted(Path("part").rglob("*.jpg"))[:2]]
    assert main(["inspect", *files, "--out", "w.png"]) == 2
    assert "--out w.png is one picture for 2 files; give a folder" in capsys.readouterr().err
    assert not Path("w.png").exists()


def test_energy_lies_where_the_waves_run(tmp_path):
    """A wave from left to right of horizontal frequency 3 puts all its energy into row 0 (v), column 3 (u)."""
    wave = 128 + 60 * np.cos((2 * np.arange(64) + 1) * 3 * np.pi / 16)
    Image.fromarray(np.tile(np.rint(wave), (40, 1)).astype(np.uint8)).save(tmp_path / "wave.jpg", quality=95)
    energy = band_energy(read_jpeg(tmp_path / "wave.jpg").coefficients.y.numpy())
    assert energy.shape == (8, 8) and energy[0, 3] > 0.999 * energy.sum()


@pytest.mark.slow
@pytest.mark.timeout(1300)  # a training; the command below has its own limit
def test_the_run_on_digits_reads_digits(tmp_path):
    for arguments in (["prepare", "digits"], ["fit", "--config", "digits", "--trainer.accelerator", "cpu"]):
        done = command(tmp_path, *arguments, timeout=1200)
        assert done.returncode == 0, done.stderr
    with open(tmp_path / "runs" / "digits" / "metrics.csv") as file:
        assert max(float(row["val_top1"]) for row in csv.DictReader(file)) >= 0.93
