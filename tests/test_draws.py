"""Draws for a batch at once are those for one picture: the numbers of torch's generator, the operators to the last bit."""

import numpy as np
import pytest
import torch

from dctnet.data.keyed_sampling import SampleKey, mix, sample_generator, sample_seeds
from dctnet.jpeg import _native
from dctnet.jpeg.image import sampling_grid
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, Reblock, Resize

SIZES = [(1, 1), (2, 40), (30, 3), (256, 341), (500, 375), (375, 500), (3000, 4000)]
SAMPLINGS = [
    ((2, 2), (1, 1), (1, 1)),
    ((1, 1), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)),
    ((1, 4), (1, 1), (1, 1)),
    ((3, 3), (2, 1), (1, 2)),
]


def drawn_from(random: np.random.Generator, count: int):
    seeds = random.integers(0, 2**63, count, dtype=np.uint64)
    return seeds, np.array([SIZES[i] for i in random.integers(0, len(SIZES), count)])


@pytest.mark.parametrize("options", [{}, {"scale": (0.5, 1.5), "ratio": (0.1, 9.0)}, {"scale": (3.0, 4.0)}])
def test_streams_draw_what_torch_draws(options):
    seeds, sizes = drawn_from(np.random.default_rng(1), 400)
    crop, flip = RandomResizedCrop(224, **options), RandomHorizontalFlip(0.3)
    streams = _native.Streams(seeds)
    boxes, flips = crop.draw_many(sizes, streams), flip.draw_many(sizes, streams)
    for seed, size, box, flipped in zip(seeds.tolist(), sizes.tolist(), boxes, flips, strict=True):
        generator = torch.Generator().manual_seed(seed)
        assert tuple(box[:4].tolist()) == crop.box(tuple(size), generator)
        assert bool(flipped[6]) == flip.draw(tuple(size), generator).mirror


def test_streams_go_on_beyond_the_first_numbers_of_the_twister():
    # 624 numbers are made at a time.
    streams = _native.Streams(np.array([7, 8], dtype=np.uint64))
    drawn = np.concatenate([streams.uniform(-1, 3) for _ in range(1500)], axis=1)
    for seed, numbers in zip((7, 8), drawn, strict=True):
        generator = torch.Generator().manual_seed(seed)
        # Singly: torch draws sixteen numbers at once in another order.
        assert numbers.tolist() == [torch.empty(1).uniform_(-1, 3, generator=generator).item() for _ in range(1500)]


def test_streams_refuse_what_they_cannot_draw_in():
    streams = _native.Streams(np.arange(2, dtype=np.uint64))
    for sizes in ([[5, 5]], [[5, 5], [0, 5]], [[5, 5], [5, 2**40]]):
        with pytest.raises(ValueError, match="drawn"):
            streams.boxes(np.array(sizes), (0.1, 1), (1, 1), (0, 0))


def test_seeds_of_many_keys_are_those_of_each():
    keys = [SampleKey(0, 0), SampleKey(3, 17), SampleKey(2**31, 2**40), SampleKey(1, -1)]
    for seed in (0, 5, -1, 2**63):
        assert sample_seeds(seed, keys).tolist() == [mix(seed, *key) for key in keys]
    assert sample_seeds(0, []).tolist() == []


@pytest.mark.parametrize(
    "chain",
    [
        [RandomResizedCrop(224), RandomHorizontalFlip()],
        [Resize((64, 80)), RandomHorizontalFlip(), CenterCrop((32, 60)), RandomHorizontalFlip(), Reblock(4)],
        [CenterCrop(20)],
        [Resize(32), CenterCrop(32)],
    ],
    ids=str,
)
def test_operators_of_many_pictures_are_those_of_each(chain):
    random = np.random.default_rng(2)
    reduced = Compose(chain, block_size=8).reduced()
    sizes = random.integers(20, 500, (100, 2))
    sizes[:, 1] = sizes[:, 0] if isinstance(chain[0], Resize) and len(chain) == 2 else sizes[:, 1]
    samplings = [SAMPLINGS[i] for i in random.integers(0, len(SAMPLINGS), 100)]
    keys = [SampleKey(int(e), int(i)) for e, i in random.integers(0, 99, (100, 2))]
    operators, size = reduced.operators_of_many(sizes, np.array(samplings), _native.Streams(sample_seeds(5, keys)))
    for numbers, picture, sampling, key in zip(operators, sizes.tolist(), samplings, keys, strict=True):
        one = reduced.operators(sampling_grid(tuple(picture), sampling), sample_generator(5, key))
        assert one.size == size
        assert numbers.tolist() == [[list(map(float, axis)) for axis in axes] for axes in one[:2]]


def test_no_closed_form_is_said():
    def of(chain, sizes):
        reduced = Compose(chain, block_size=8).reduced()
        sampling = np.array([SAMPLINGS[0]] * len(sizes))
        return reduced.operators_of_many(
            np.array(sizes), sampling, _native.Streams(np.arange(len(sizes), dtype=np.uint64))
        )

    assert of([], [(40, 40)]) is None
    assert of([Resize(40)], [(40, 50), (40, 60)]) is None  # two sizes
    assert of([CenterCrop(32), Resize(16)], [(40, 40)]) is None  # an operator after an operator
    with pytest.raises(ValueError, match="does not fit a picture of 16x40"):
        of([CenterCrop(32)], [(40, 40), (16, 40)])
