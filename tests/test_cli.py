"""The command line: what a user types, what comes back, and one clear line where it cannot work."""

import csv
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from dctnet import __version__
from dctnet.cli import COMMANDS, main
from dctnet.data.module import DCTDataModule
from dctnet.data.packaged import packaged_file, packaged_names
from dctnet.data.recipes import prepare
from dctnet.models.cost import blank
from dctnet.models.zoo import create_model
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
    model = create_model(
        run["model"]["network"], 10, block_size=_pair(run["data"]["block_size"]), **run["model"]["options"]
    )
    size = run["data"]["image_size"]
    with torch.inference_mode():
        assert model.eval()(blank(size, _pair(run["data"]["block_size"]))).shape == (1, 10)


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


@pytest.mark.slow
def test_the_run_on_digits_reads_digits(tmp_path):
    for arguments in (["prepare", "digits"], ["fit", "--config", "digits", "--trainer.accelerator", "cpu"]):
        done = command(tmp_path, *arguments, timeout=1200)
        assert done.returncode == 0, done.stderr
    with open(tmp_path / "runs" / "digits" / "metrics.csv") as file:
        assert max(float(row["val_top1"]) for row in csv.DictReader(file)) >= 0.93
