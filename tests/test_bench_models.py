"""``dctnet bench models``: what the rows hold, and what is refused."""

import json

import pytest
import torch

from dctnet.benchmarks.models import SMALL, models
from dctnet.cli import main
from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.zoo import create_model

GRID = """
question: which?
rows:
  pixels: {model.network: rgb_resnet18, model.options: {stem: cifar, width: 0.25}, data.block_size: 1}
  planes: {model.network: multigrid_resnet18, model.options: {stem: cifar, width: 0.25}, data.block_size: [4, 2]}
"""


def test_rows_of_a_grid_beside_its_first(tmp_path, capfd):
    grid, out = tmp_path / "grid.yaml", tmp_path / "out.json"
    grid.write_text(GRID)
    words = f"bench models --grid {grid} --size 32 --batch 4 --repeats 3 --threads 1 --no_memory --out {out}"
    assert main(words.split()) == 0
    result = json.loads(out.read_text())
    first, second = result["rows"]
    assert (first["label"], second["label"]) == ("pixels", "planes")
    for row, network, block_size in ((first, "rgb_resnet18", 1), (second, "multigrid_resnet18", (4, 2))):
        model = create_model(network, 10, stem="cifar", width=0.25, block_size=block_size)
        assert row["parameters"] == parameters(model)
        assert row["multiply_adds"] == multiply_adds(model, 32, block_size)
        for kind in ("train", "forward"):
            low, high = row[kind]["spread"]
            assert 0 < low <= row[kind]["ratio"] <= high
            assert row[kind]["images_per_second"] > 0
    assert "planes" in capfd.readouterr().out


def test_peaks_grow_with_the_maps_that_are_kept(capfd):
    reference, blocks_of_8 = models(32, 16, 0.5, repeats=3, threads=1, only="blocks of 8")
    assert 1.5 * blocks_of_8["peak"] < reference["peak"]


@pytest.mark.parametrize(
    "words, message",
    [
        ("--size 33", "size is a multiple of 32"),
        ("--size 32 --only nothing", SMALL[1]["label"]),
        ("--repeats 2", "repeats is a whole number at least 3; got 2"),
        ("--device nowhere", "no usable device 'nowhere'"),
        ("--grid {folder}/none.yaml", "none.yaml"),
        ("--grid {folder}/empty.yaml", "a grid has rows, each with model.network and data.block_size"),
    ],
)
def test_what_is_refused(words, message, tmp_path, capsys):
    (tmp_path / "empty.yaml").write_text("question: which?\n")
    assert main(["bench", "models", *words.format(folder=tmp_path).split()]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with CUDA has the device")
@pytest.mark.parametrize("name", ["models", "activations"])
def test_a_device_that_is_not_there(name, capsys):
    assert main(["bench", name, "--device", "cuda"]) == 2
    assert "there is no usable device 'cuda' here" in capsys.readouterr().err
