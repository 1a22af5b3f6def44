"""Images in memory through a chain at once, and the benchmark of transforms."""

import json

import pytest
import torch

from dctnet.benchmarks import transforms as bench
from dctnet.data.lifted_images import lift_images
from dctnet.jpeg.reader import read_jpegs
from dctnet.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Normalize,
    RandAugment,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    SelectBands,
)
from tests.test_decoder import jpeg, picture

SIZES = ((60, 90), (123, 77), (64, 64), (90, 51))
CHAINS = [
    Compose([RandomResizedCrop(32), RandomHorizontalFlip()], block_size=8),
    Compose([RandomResizedCrop(48), Normalize([[3.0] * 64] * 3, [[2.0] * 64] * 3), SelectBands(24)], block_size=8),
    Compose([Resize(45), CenterCrop(37)], block_size=(8, 4)),  # no closed form
    Compose([RandomResizedCrop(32), RandomHorizontalFlip(), RandAugment()], block_size=8),
    Compose([RandomResizedCrop(32)], block_size=8, dtype=torch.float64),
    Compose(
        [RandomRotation(20, expand=True), ColorJitter(0.3), Resize((40, 32))], block_size=8
    ),  # sizes differ until the end
]


@pytest.fixture(scope="module")
def images():
    return read_jpegs([jpeg(picture(*size, seed=i), subsampling=i % 3) for i, size in enumerate(SIZES)])


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_at_once_is_one_by_one(images, chain):
    seeds = [7, 8, -9, 2**40]
    batch = lift_images(chain, images, seeds, threads=2)
    for number, (image, seed) in enumerate(zip(images, seeds, strict=True)):
        alone = chain(image, torch.Generator().manual_seed(seed))
        for plane, expected in zip(batch, alone, strict=True):
            assert plane.dtype == expected.dtype and type(batch) is type(alone)
            difference = (plane[number] - expected).abs()
            # a sample on the step of a tone curve may go either way by rounding
            assert float(difference.median()) < 1e-3 and float((difference > 0.01).double().mean()) < 0.02


def test_what_does_not_go_together(images):
    with pytest.raises(ValueError, match="each image needs a seed; got 4 images and 3 seeds"):
        lift_images(CHAINS[0], images, [1, 2, 3])
    with pytest.raises(ValueError, match="different sizes"):
        lift_images(Compose([Resize(32)], block_size=8), images, range(4))
    with pytest.raises(ValueError, match="no images"):
        lift_images(CHAINS[0], [], [])
    for threads in (-1, 0, 1.5):
        with pytest.raises(ValueError, match=f"threads is a whole number at least 1; got {threads}"):
            lift_images(CHAINS[0], images, range(4), threads=threads)
    with pytest.raises(ValueError, match="takes pictures as read_jpegs gives them; got a Coefficients"):
        lift_images(CHAINS[0], [images[0].coefficients], [1])


def test_the_benchmark_measures_each_transform(tmp_path, capfd):
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(picture(240, 250, seed=number)))
    rows = bench.transforms(str(tmp_path), limit=2, repeats=3, together=4, out=str(tmp_path / "rows.json"))
    assert json.loads((tmp_path / "rows.json").read_text())["rows"] == rows
    pipelines = ["RandAugment", *(f"RandomResizedCrop(224), flip, {s}normalise" for s in ("", "RandAugment, "))]
    at_once = "RandomResizedCrop(224), flip, normalise, 4 in one call; planning, packing and transfer not counted"
    assert [row["transform"] for row in rows] == [*bench.GEOMETRIC, *bench.COLOUR, *pipelines, at_once]
    paths = ["one by one"] * (len(rows) - 3) + ["batches of 32"] * 2 + ["one call"]
    assert [row["path"] for row in rows] == paths
    for row in rows[:-1]:
        low, high = row["spread"]
        assert low <= row["ratio"] <= high
    told = capfd.readouterr().err.splitlines()
    assert len(told) == len(rows) and all(line.startswith("measuring ") for line in told)
    named = {row["transform"]: row for row in rows}
    for name in bench.GEOMETRIC:  # gray levels: every one of them is exact, to the rounding of its type
        assert named[name]["float64"] < 1e-9 and named[name]["float32"] < 1e-3, name
    # Exact but for the twin's 8 bits, half a level at most, and chroma that leaves what 8 bits hold.
    for name in ("brightness 1.3", "contrast 1.3", "saturation 1.3", "invert", "grayscale"):
        assert named[name]["rgb"] < 0.6, name
    assert not any(key in row for row in rows[-4:] for key in ("float64", "float32", "rgb"))
