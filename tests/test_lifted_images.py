"""Images in memory through a chain at once, and the benchmark of transforms."""

import json

import pytest
import torch

from dctnet.benchmarks import transforms as bench
from dctnet.data.lifted_images import lift_images
from dctnet.jpeg.reader import read_jpegs
from dctnet.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandAugment,
    RandomHorizontalFlip,
    RandomResizedCrop,
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


def test_the_benchmark_measures_each_transform(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(picture(240, 250, seed=number)))
    rows = bench.transforms(str(tmp_path), limit=2, repeats=3, together=4, out=str(tmp_path / "rows.json"))
    assert json.loads((tmp_path / "rows.json").read_text())["rows"] == rows
    named = {row["transform"]: row for row in rows}
    assert {*bench.GEOMETRIC, *bench.COLOUR} < set(named)
    assert max(row["float64"] for row in rows if "float64" in row) < 1e-4  # gray levels: every one of them is exact
    assert all(row["us"] > 0 and row["ratio"] > 0 for row in rows if "ratio" in row)
    assert rows[-1]["images_per_second"] > 0
