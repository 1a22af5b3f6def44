"""The benchmark of convolutions: its rows, what is missing and why, its crossings and its plot."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.benchmarks import convolution_ways, convolutions
from dctnet.benchmarks.convolution_ways import PEER, operands, too_large, true_convolution, ways
from dctnet.benchmarks.crossing import crossing, direct_cost, fft_cost
from dctnet.benchmarks.peak_memory import peak_in_process
from dctnet.cli import main


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(convolutions, "SECONDS", 0.0)


@pytest.fixture
def without_peer(monkeypatch):
    def importing(name):
        assert name == "fft_conv_pytorch"
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(convolution_ways.importlib, "import_module", importing)


def test_rows_table_and_plot(tmp_path, capsys):
    out, plot = tmp_path / "rows.json", tmp_path / "times.png"
    arguments = ["--sizes", "12", "16", "--kernels", "3", "9", "--channels", "2", "--batch", "1", "--repeats", "3"]
    arguments += ["--threads", "1", "--no_memory", "--out", str(out), "--plot", str(plot)]
    assert main(["bench", "convolutions", *arguments]) == 0
    result = json.loads(out.read_text())
    rows = {(row["size"], row["kernel"], row["way"]): row for row in result["rows"]}
    assert len(rows) == len(result["rows"]) == 4 * len(ways(3))
    assert result["threads"] == 1 and result["command"].startswith("dctnet bench convolutions --sizes 12 16")
    for (size, kernel, name), row in rows.items():
        if "missing" in row:
            assert (name.startswith("winograd") and kernel == 9) or (name == PEER and "pip install" in row["missing"])
            continue
        for kind in ("forward", "train"):
            assert row[kind]["seconds"] > 0 and row[kind]["spread"][0] <= row[kind]["ratio"] <= row[kind]["spread"][1]
        exact = not name.startswith("fft, compression 0.")
        assert (row["error"] < 1e-4) == exact
        if name == "direct":
            assert row["saved"] == 4 * 2 * size**2  # the maps, and the filters are not counted
        if name == "im2col":
            assert row["saved"] == 4 * 2 * size**2 * kernel**2
    shares = [rows[12, 3, f"fft, compression {share}"]["saved"] for share in ("0", "0.5", "0.75")]
    assert shares[0] > shares[1] > shares[2]
    assert {(at["size"], at["kind"]) for at in result["crossings"]} == {
        (s, k) for s in (12, 16) for k in ("forward", "train")
    }
    printed = capsys.readouterr().out
    assert "winograd, tiles of 4" in printed and "16x16, forward pass: the FFT is quicker" in printed
    picture = np.asarray(Image.open(plot).convert("L"))
    assert picture.shape[1] > picture.shape[0] and (picture < 128).mean() > 0.005


@pytest.mark.usefixtures("without_peer")
def test_a_package_that_is_not_there_is_named():
    made = ways(3)
    assert made[PEER] == "not installed: pip install fft-conv-pytorch"
    assert not any(isinstance(way, str) for name, way in made.items() if name != PEER)


def test_the_peer_is_a_convolution():
    convolve, (x, w) = convolution_ways.peer(2), operands(9, 5, 3, 2, "cpu")
    if isinstance(convolve, str):
        assert convolve == "not installed: pip install fft-conv-pytorch"
    else:
        torch.testing.assert_close(convolve(x, w).double(), true_convolution(x, w), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 9, 15])
def test_the_truth_is_torchs_convolution_in_float64(kernel):
    x, w = operands(10, kernel, 3, 2, "cpu")
    direct = torch.nn.functional.conv2d(x.double(), w.double(), padding=kernel // 2)
    torch.testing.assert_close(true_convolution(x, w), direct.detach(), rtol=0, atol=1e-12)
    assert x.std().item() == pytest.approx(1) and x.requires_grad and w.requires_grad


def test_im2col_is_left_out_where_its_patches_are_too_many(monkeypatch):
    x = operands(8, 3, 2, 1, "cpu")[0]
    monkeypatch.setattr(convolution_ways, "MOST_PATCHES", 9 * x.numel())
    assert too_large("im2col", x, 3) is None and too_large("direct", x, 31) is None
    assert too_large("im2col", x, 5) == "3.2e+03 numbers as patches"


def test_the_peak_is_that_of_the_way():
    setting = {"size": 64, "kernel": 7, "channels": 8, "batch": 4, "device": "cpu"}
    peaks = {way: peak_in_process(convolutions.__name__, setting | {"way": way}) for way in ("direct", "im2col")}
    patches = 4 * 4 * 8 * 49 * 64 * 64
    assert peaks["im2col"] > patches > peaks["direct"] > 0


@pytest.mark.parametrize("size", [16, 64])
def test_crossings_are_found_where_they_are(size):
    kernels = np.array([3, 5, 9, 15, 31])
    direct, fft = 2 + direct_cost(kernels, size) / 8, 5 + fft_cost(kernels, size) / 1000
    at = crossing(size, kernels, direct, fft)
    assert 2 + at.fitted**2 / 8 == pytest.approx(5 + fft_cost(np.array(at.fitted), size) / 1000, rel=0.05)
    assert max(at.errors) < 1e-6
    below, above = kernels[direct < fft], kernels[direct >= fft]
    assert below[-1] < at.measured < above[0]
    assert crossing(size, kernels, direct, 1e6 * fft)[:2] == (None, None)
    assert crossing(size, kernels, direct, fft / 1e6)[:2] == (3, 1)
    assert crossing(size, [3, 12], [1, 4], [2, 2]).measured == 6  # straight on logarithmic axes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kernels", "3", "4"], "kernels are odd, .*; got 4"),
        (["--repeats", "2"], "repeats is a whole number at least 3; got 2"),
        (["--sizes", "1"], "sizes is"),
        (["--threads", "0"], "threads is a whole number at least 1; got 0"),
        (["--device", "tpu"], "no usable device 'tpu'"),
        (["--out", "nowhere/rows.json"], "out is a file in a folder that exists; got nowhere/rows.json"),
        (["--plot", "nowhere/times.png"], "plot is a file in a folder that exists"),
        (["--plot", "times.jpg"], "plot is a PNG file"),
        (["--only", "strassen"], "only is a part of one of im2col, .*; got 'strassen'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message, capsys):
    assert main(["bench", "convolutions", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
