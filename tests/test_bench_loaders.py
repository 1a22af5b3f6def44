"""The benchmarks of loaders: that rows and file come out, that absent peers are named, and that peers do the same work."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dctnet.benchmarks import dali
from dctnet.benchmarks.loader_peers import LOADERS, Job, missing
from dctnet.benchmarks.loaders import packed
from dctnet.cli import main
from dctnet.data.batch_reader import BatchReader
from dctnet.jpeg.reader import read_jpegs
from tests.test_decoder import jpeg, picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        (folder / f"{i}.jpg").write_bytes(jpeg(picture(60 + i, 50, seed=i)))
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    return folder


def run(folder, tmp_path, only, *more):
    out = tmp_path / "rows.json"
    arguments = [
        "bench",
        "loaders",
        str(folder),
        "--repeats",
        "3",
        "--batch_size",
        "2",
        "--only",
        only,
        "--out",
        str(out),
    ]
    assert main([*arguments, *more]) == 0
    return json.loads(out.read_text())


def test_rows(folder, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("dctnet.benchmarks.loaders.cores", lambda: 1)
    result = run(folder, tmp_path, "dctnet; Pillow (RGB); dctnet, store", "--no_memory")
    assert "4 files" in capfd.readouterr().out  # two whole batches
    assert result["files"] == 4
    assert [row["loader"] for row in result["rows"]] == ["dctnet", "Pillow (RGB)", "dctnet, store"]
    for row in result["rows"]:
        assert row["images_per_second"] > 0 and row["spread"][0] <= row["ratio"] <= row["spread"][1]
        assert (row["cores"], row["workers"]) == (1, 0)


@pytest.mark.slow
def test_memory_of_fresh_processes_on_all_cores(folder, tmp_path):
    rows = run(folder, tmp_path, "dctnet; torchvision (RGB)")["rows"]
    assert len(rows) in (2, 4) and all(50 < row["memory"] < 20000 for row in rows)  # MB: torch alone is more than 50


def test_peak_memory_is_that_of_the_process_itself():
    """A fresh process does not count what the one that started it had in memory."""
    code = "from dctnet.benchmarks.loaders import own_peak; print(own_peak())"
    alone = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    ballast = torch.ones(200 << 20, dtype=torch.uint8)
    beside = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert ballast.numel() and abs(beside - alone) < 50 << 10


def test_absent_peers_are_named(folder, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("dctnet.benchmarks.loaders.cores", lambda: 1)
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    reasons = missing()
    assert reasons["simplejpeg (RGB)"] == "not installed" and "ffcv" in reasons["FFCV (RGB)"]
    rows = run(folder, tmp_path, "dctnet; simplejpeg (RGB)", "--no_memory")["rows"]
    assert rows[-1] == {"loader": "simplejpeg (RGB)", "missing": "not installed"}
    assert "not installed" in capfd.readouterr().out


def test_a_loader_that_there_is_not(folder, capsys):
    assert main(["bench", "loaders", str(folder), "--only", "cv2"]) == 2
    assert "there is no loader 'cv2'; there are: dctnet; " in capsys.readouterr().err


def test_a_folder_without_files(tmp_path, capsys):
    assert main(["bench", "loaders", str(tmp_path)]) == 2
    assert "no readable JPEG files" in capsys.readouterr().err


def delivers(folder, workshop, name):
    paths = [str(folder / f"{i}.jpg") for i in range(4)]
    job = Job(paths, *packed(paths, workshop).values(), 2, 0)
    batches = list(LOADERS[name](job)())
    assert len(batches) == 2
    for batch in batches:
        planes = getattr(batch, "coefficients", batch)
        if "RGB" in name:
            assert planes.shape == (2, 3, 224, 224) and planes.dtype == torch.float32
            assert -3 < float(planes.min()) < float(planes.max()) < 3  # normalised, of pictures of 0 to 255
        else:
            assert [tuple(plane.shape) for plane in planes] == [(2, 64, 28, 28), (2, 64, 14, 14), (2, 64, 14, 14)]
            assert all(plane.dtype == torch.float32 for plane in planes)


@pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities of TorchVision:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in LOADERS if "DALI" not in name])
def test_every_loader_delivers_the_same_thing(folder, tmp_path, name):
    if name in missing():
        pytest.skip(f"{name}: {missing()[name]}")
    delivers(folder, tmp_path, name)


@pytest.mark.dali
@pytest.mark.parametrize("name", ["dctnet, DALI", "DALI (RGB)"])
def test_dali_delivers_the_same_thing(folder, tmp_path, name):
    delivers(folder, tmp_path, name)


@pytest.mark.dali
def test_routes_into_dali(folder, tmp_path, capfd):
    """Rows and file; that the routes do what they say, the next test says."""
    out = tmp_path / "rows.json"
    numbers = ["--repeats", "3", "--batch_size", "2", "--limit", "12", "--threads", "2"]
    assert main(["bench", "dali", str(folder), *numbers, "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    bare, *rows = result["rows"]
    assert result["pictures"] == 12 and bare["route"] == "read_jpegs" and {row["threads"] for row in rows} == {2}
    assert {row["through_dali"] for row in rows if row["route"] == "packed"} == {"order", "arrays", "nothing"}
    for row in rows:
        low, high = row["spread"]
        assert low <= row["share"] <= high and row["share"] * bare["images_per_second"] > 0
    assert "python_function" in capfd.readouterr().out


@pytest.mark.dali
@pytest.mark.filterwarnings("ignore:unclosed .socket:ResourceWarning")  # DALI leaves its workers' to the collector
def test_every_route_delivers_all_coefficients(folder, monkeypatch):
    paths = [str(folder / f"{i}.jpg") for i in range(4)]
    truth = sum(float(plane.double().abs().sum()) for image in read_jpegs(paths) for plane in image.coefficients)
    found = {"pictures": 0, "sum": 0.0}
    read, drain = BatchReader.read, dali.drained

    def read_and_add(self, opened, empty):
        ready = read(self, opened, empty)
        found["pictures"] += len(ready.batch.labels)
        found["sum"] += sum(float(plane.double().abs().sum()) for plane in ready.packed)
        return ready

    def drain_and_add(pipeline, batches):
        for outputs in drain(pipeline, batches):
            found["pictures"] += len(outputs[0])
            found["sum"] += sum(float(np.abs(plane.at(i).astype(float)).sum()) for plane in outputs for i in range(2))
            yield outputs

    monkeypatch.setattr(BatchReader, "read", read_and_add)
    monkeypatch.setattr(dali, "drained", drain_and_add)
    for (route, _), run in dali.routes(paths, 2, 1).items():
        found |= {"pictures": 0, "sum": 0.0}
        run()
        assert found["pictures"] == 4, route
        if route == "packed, random crops":
            assert found["sum"] < truth
        else:
            assert found["sum"] == pytest.approx(truth, rel=1e-9), route


def test_a_result_says_with_what_it_was_measured(folder, tmp_path, capfd):
    out = tmp_path / "a result.json"
    assert main(["bench", "read", str(folder), "--repeats", "3", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    # Paths by their last name alone: the file says nothing of the machine's folders.
    told = ["dctnet", "bench", "read", folder.name, "--repeats", "3", "--out", out.name]
    assert shlex.split(result["command"]) == told
    assert result["torch"] == torch.__version__ and result["cpu"]
    described = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    known = subprocess.run(described, capture_output=True, text=True)
    assert result["commit"] == (known.stdout.strip() if known.returncode == 0 else None)


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("loaders", ["--batch_size", "0"], "batch_size is a whole number at least 1; got 0"),
        ("loaders", ["--limit", "-1"], "limit is a whole number at least 1; got -1"),
        ("loaders", ["--repeats", "2", "--only", "dctnet"], "a median needs 3 rounds or more; got 2"),
        ("read", ["--limit", "0"], "limit is a whole number at least 1; got 0"),
        ("transforms", ["--together", "0"], "together is a whole number at least 1; got 0"),
        ("dali", ["--threads", "0"], "threads is a whole number at least 1; got 0"),
        ("dali", ["--batch_size", "0"], "batch_size is a whole number at least 1; got 0"),
    ],
)
def test_numbers_out_of_range(folder, command, options, message, capsys):
    assert main(["bench", command, str(folder), *options]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
