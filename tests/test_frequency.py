"""Frequency compression: int8, the quality of JPEG and the share of energy, against libjpeg, numpy and exhaustive search."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from dctnet.bands import bands_of
from dctnet.coefficients import Coefficients, SelectedBands, grid_420, stack
from dctnet.data.store_format import quantise
from dctnet.jpeg.pixels import to_pixels
from dctnet.jpeg.quantize import quantize
from dctnet.jpeg.reader import read_jpeg
from dctnet.quantization import quality_steps
from dctnet.transforms import (
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    FrequencyEnhancement,
    GaussianBlur,
    GaussianNoise,
    JPEGQuality,
    KeepEnergy,
    MixUp,
    Normalize,
    Quantize,
    RandomApply,
    RandomEqualize,
    RandomErasing,
    RandomGrayscale,
    RandomJPEGQuality,
    Reblock,
    Resize,
    SelectBands,
)
from dctnet.transforms import functional as F
from dctnet.transforms.batched import plan
from dctnet.transforms.energy import keep_energy
from dctnet.transforms.rounding import jpeg_quality, quantize_int8
from tests.test_decoder import jpeg, picture


def planes(*leading: int, dtype=torch.float32, spread: float = 60.0, seed: int = 0) -> Coefficients:
    """Random planes of 64 bands whose strength falls with the frequency."""
    generator = torch.Generator().manual_seed(seed)
    fall = spread / (1 + torch.arange(64.0))[:, None, None]
    made = (torch.randn(*leading, 64, n, n, generator=generator, dtype=dtype) * fall.to(dtype) for n in (6, 3, 3))
    return Coefficients(*made)


# int8


def test_eight_bits_are_those_of_a_packed_store():
    x = planes()
    made = Quantize()(x)
    for plane, ours in zip(x, made, strict=True):
        blocks = plane.permute(1, 2, 0).numpy()
        values, scales = quantise(blocks, None, "int8")
        np.testing.assert_allclose(ours.permute(1, 2, 0), values * scales, rtol=1e-6)
        assert (np.abs(ours.permute(1, 2, 0).numpy() - blocks) <= scales / 2 * (1 + 1e-5)).all()


def test_the_error_is_half_a_scale_within_the_range_and_clipping_beyond():
    scales = [np.linspace(0.5, 2, 64).tolist()] * 3
    x = planes(3, spread=400.0)
    made = Quantize(scales)(x)
    scale = torch.tensor(scales[0])[:, None, None]
    for plane, ours in zip(x, made, strict=True):
        inside = plane.abs() <= 127.5 * scale
        assert bool(((ours - plane).abs() <= scale / 2 * (1 + 1e-5))[inside].all())
        assert bool((~inside).any()) or plane is not x.y
        torch.testing.assert_close(ours[~inside], (127 * scale * plane.sign())[~inside])
        integers = ours / scale
        assert float((integers - integers.round()).abs().max()) < 1e-4


def test_a_batch_has_the_scales_of_each_picture():
    x = planes(4)
    x.y[1] *= 100
    batch = quantize_int8(x)
    for number in range(4):
        alone = quantize_int8(x.map(lambda plane, number=number: plane[number]))
        assert all(torch.equal(a[number], b) for a, b in zip(batch, alone, strict=True))


def test_scales_of_a_card_clip_nothing_of_what_it_measured(tmp_path):
    from dctnet.data.measure import write_card

    (tmp_path / "files").mkdir()
    for number in range(3):
        picture(48, 64).rotate(90 * number).save(tmp_path / "files" / f"{number}.jpg", quality=90)
    write_card(str(tmp_path / "files"), str(tmp_path / "card.yaml"), (8, 8), None, 1)
    image = read_jpeg(str(tmp_path / "files" / "0.jpg"))
    for bands in (None, 24, ("zigzag-5", "square-2", [0])):
        transform = Quantize.from_card(str(tmp_path / "card.yaml"), bands)
        chosen = Compose([SelectBands(192 if bands is None else bands)])(image)
        for plane, ours, scales in zip(chosen, transform(chosen), transform.scales, strict=True):
            assert bool(((ours - plane).abs() <= scales[:, None, None] / 2 * (1 + 1e-5)).all())
    normalize = Normalize.from_card(str(tmp_path / "card.yaml"), 24)
    kept = Compose([SelectBands(24), normalize])(image)
    whole = Compose([Normalize.from_card(str(tmp_path / "card.yaml")), SelectBands(24)])(image)
    assert all(torch.equal(a, b) for a, b in zip(kept, whole, strict=True))


# The quality of JPEG


@pytest.mark.parametrize("quality", [3, 25, 50, 75, 92, 100])
@pytest.mark.parametrize("band", [0, 4, 32, 36])
def test_integers_are_those_that_libjpeg_stores(band, quality):
    """Of the four cosines that are all +-1 libjpeg's integer DCT is exact, so every tie of the rounding is met."""
    sign = np.array([1, -1, -1, 1, 1, -1, -1, 1])
    pattern = np.outer(sign if band // 8 else np.ones(8), sign if band % 8 else np.ones(8))
    levels = np.arange(-128, 128) if band == 0 else np.arange(-127, 128)
    samples = np.concatenate([128 + level * pattern for level in levels], 1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "JPEG", quality=quality)
    truth = read_jpeg(file.getvalue(), dequantize=False).coefficients.y
    x = torch.zeros(64, 1, len(levels), dtype=torch.int16)
    x[band, 0] = torch.from_numpy(8 * levels)
    zero = torch.zeros(64, 1, 128)
    made = JPEGQuality(quality)(Coefficients(x, zero, zero)).y / quality_steps(quality)[0].float()[:, None, None]
    assert torch.equal(made.to(torch.int16), truth)


@pytest.mark.parametrize("quality", [1, 30, 50, 77, 95, 100])
def test_requantising_a_file(quality):
    """Equal to numpy's integer arithmetic, to ``quantize``, and to the file that is written of it."""
    image = read_jpeg(jpeg(picture(90, 121), quality=93))
    made = JPEGQuality(quality)(image.coefficients)
    stored = quantize(image.coefficients, grid=image.grid, quality=quality)
    for plane, ours, integers, steps in zip(
        image.coefficients, made, stored.coefficients, quality_steps(quality).to(torch.int64), strict=True
    ):
        x, step = plane.numpy().astype(np.int64), steps.numpy()[:, None, None]
        truth = np.sign(x) * ((2 * np.abs(x) + step) // (2 * step))
        assert np.array_equal(integers.numpy(), truth)
        assert np.array_equal(ours.numpy(), truth * step)


def test_each_picture_of_a_batch_has_its_quality_and_draws_repeat():
    x = planes(4)
    qualities = torch.tensor([10, 50, 90, 100])
    batch = jpeg_quality(x, qualities)
    for number, quality in enumerate(qualities.tolist()):
        alone = JPEGQuality(quality)(x.map(lambda plane, number=number: plane[number]))
        assert all(torch.equal(a[number], b) for a, b in zip(batch, alone, strict=True))
    transform = RandomJPEGQuality((20, 23))
    drawn = [transform.draw((8, 8), torch.Generator().manual_seed(seed))[0] for seed in range(200)]
    assert {20.0, 21.0, 22.0, 23.0} == set(drawn)
    assert drawn == [transform.draw((8, 8), torch.Generator().manual_seed(seed))[0] for seed in range(200)]
    parameters = torch.tensor([[quality] for quality in qualities], dtype=torch.float64)
    assert torch.equal(transform.apply(x, parameters, (48, 48)).y, batch.y)
    assert torch.equal(jpeg_quality(batch, qualities).y, batch.y)  # again, nothing is lost


# The share of energy


def ac(x: Coefficients) -> np.ndarray:
    return np.concatenate([plane.permute(1, 2, 0)[..., 1:].double().numpy().ravel() for plane in x])


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 99.99, 100])
def test_enough_energy_is_kept_and_not_one_coefficient_more(percent):
    x = planes(3, seed=1).map(lambda plane: (8 * plane).round() / 8)  # so that sums of squares are exact
    x.y[:, 0] += 500.0
    batch = keep_energy(x, percent)
    for number in range(3):
        before, after = (c.map(lambda plane, number=number: plane[number]) for c in (x, batch))
        alone = KeepEnergy(percent)(before)
        assert all(torch.equal(a, b) for a, b in zip(alone, after, strict=True))
        assert all(torch.equal(a[0], b[0]) for a, b in zip(before, after, strict=True))  # DC
        old, new = ac(before), ac(after)
        kept = new != 0
        assert np.array_equal(new[kept], old[kept])
        needed = (old**2).sum() * (percent / 100)
        assert (new**2).sum() >= needed
        assert (new**2).sum() - (new[kept] ** 2).min() < needed  # without the smallest it is too little
        assert np.abs(old[~kept]).max(initial=0) <= np.abs(new[kept]).min()


def test_shares_differ_within_a_batch_and_a_flat_picture_stays():
    x = planes(2)
    x.y[1], x.cb[1], x.cr[1] = 0.0, 0.0, 0.0
    x.y[1, 0] = 7.0
    made = keep_energy(x, torch.tensor([10.0, 10.0]))
    assert torch.equal(made.y[1], x.y[1])
    both = keep_energy(Coefficients(*(torch.stack([p[0], p[0]]) for p in x)), torch.tensor([10.0, 100.0]))
    assert torch.equal(both.y[1], x.y[0])
    assert int((both.y[0] != 0).sum()) < int((both.y[1] != 0).sum())


@pytest.mark.parametrize("block_size", [1, 2, 4, 16])
def test_energy_in_other_blocks(block_size):
    image = read_jpeg(jpeg(picture(64, 64), quality=90))
    x = Compose([Reblock(block_size)])(image)
    made = KeepEnergy(95)(x)
    if block_size == 1:
        assert torch.equal(made.y, x.y)
        return
    assert (ac(made) ** 2).sum() >= 0.95 * (ac(x) ** 2).sum()
    assert (ac(made) ** 2).sum() < 0.97 * (ac(x) ** 2).sum()


# All of them

TRANSFORMS = [Quantize(), JPEGQuality(40), KeepEnergy(80), RandomJPEGQuality((30, 60))]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_kinds_of_planes(transform):
    """Integers become float32, blocks stay contiguous, bfloat16 is rounded at the end only, and a chain takes them."""
    image = read_jpeg(jpeg(picture(64, 64), quality=90))
    made = transform(image.coefficients, torch.Generator().manual_seed(0))
    assert made.y.dtype == torch.float32
    assert made.y.movedim(-3, -1).is_contiguous()
    chain = Compose([transform, Normalize.from_card("cifar10"), SelectBands(24)])
    reference = Compose([Normalize.from_card("cifar10"), SelectBands(24)])(made)
    for ours, theirs in zip(chain(image, torch.Generator().manual_seed(0)), reference, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)
    half = planes(2, dtype=torch.bfloat16)
    ours = transform.apply(half, torch.tensor([[40.0]] * 2, dtype=torch.float64), (48, 48))
    theirs = transform.apply(half.to(torch.float64), torch.tensor([[40.0]] * 2, dtype=torch.float64), (48, 48))
    assert ours.y.dtype == torch.bfloat16
    torch.testing.assert_close(ours.y.double(), theirs.y, rtol=2**-8, atol=0)


def test_gradients():
    def gradient(function) -> torch.Tensor:
        x = planes().map(lambda plane: plane.clone().requires_grad_())
        function(x).y.square().sum().backward()
        return x.y.grad

    for function in (quantize_int8, lambda x, **o: jpeg_quality(x, 40, **o)):
        value = function(planes())
        through = function(planes(), straight_through=True)
        assert all(torch.equal(a, b) for a, b in zip(value, through, strict=True))
        torch.testing.assert_close(
            gradient(lambda x, f=function: f(x, straight_through=True)), 2 * value.y, rtol=1e-5, atol=1e-4
        )
    assert not gradient(lambda x: jpeg_quality(x, 40)).any()
    kept = keep_energy(planes(), 70).y
    torch.testing.assert_close(gradient(lambda x: keep_energy(x, 70)), 2 * kept)


def test_what_they_say():
    assert [repr(transform) for transform in TRANSFORMS] == [
        "Quantize(scales=None)",
        "JPEGQuality(40)",
        "KeepEnergy(80)",
        "RandomJPEGQuality((30, 60))",
    ]
    assert repr(Quantize([[1.0] * 3, [1.0], [2.0]], True)) == "Quantize(3+1+1 scales, straight_through=True)"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: JPEGQuality(0), "1 to 100; got 0"),
        (lambda: JPEGQuality(75.5), "got 75.5"),
        (lambda: RandomJPEGQuality(75), r"a pair \(from, to\)"),
        (lambda: RandomJPEGQuality((80, 70)), "from <= to"),
        (lambda: RandomJPEGQuality((0, 70)), "1 to 100; got 0"),
        (lambda: jpeg_quality(select(planes()), 50), "Apply this before bands are selected"),
        (lambda: jpeg_quality(planes(2), torch.tensor([50, 101])), r"in \[1, 100\]; got 101"),
        (lambda: KeepEnergy(0), r"in \(0, 100\]; got 0"),
        (lambda: KeepEnergy(100.5), "got 100.5"),
        (lambda: keep_energy(planes(), float("nan")), r"in \(0, 100\]; got nan"),
        (lambda: Quantize([[1.0], [1.0], [0.0]]), "plane cr of scales holds finite numbers greater than 0"),
        (lambda: Quantize([[1.0] * 16, [1.0] * 4, [1.0] * 4])(planes()), "plane y has 64 bands"),
        (lambda: Normalize.from_card("cifar100"), "one of cifar10, imagenet_samples; got 'cifar100'"),
        (lambda: Compose([SelectBands(24), KeepEnergy(50)]), "gray levels"),
        (lambda: Compose([Normalize.from_card("cifar10"), JPEGQuality(50)]), "gray levels"),
    ],
)
def test_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def select(x: Coefficients) -> Coefficients:
    return SelectBands(24)(x)


WHOLE_BLOCKS = {
    transform: transform
    for transform in (
        ColorJitter(contrast=0.5),
        Cutout(5),
        FrequencyEnhancement(),
        GaussianBlur(3),
        GaussianNoise(),
        KeepEnergy(50),
        RandomEqualize(1.0),
        RandomErasing(1.0),
        RandomGrayscale(1.0),
        JPEGQuality(50),
        SelectBands(24),
        Compose([Resize(8)]),
    )
} | {
    "CutMix": lambda x: CutMix(num_classes=2)(x, torch.tensor([0, 1])),
    "erase": lambda x: F.erase(x, 1, 1, 3, 3, grid=grid_420((32, 32))),
    "keep_energy": lambda x: F.keep_energy(x, 50),
    "adjust_brightness": lambda x: F.adjust_brightness(x, 2),
    "crop": lambda x: F.crop(x, 1, 1, 3, 3, grid=grid_420((32, 32)), block_size=4),
    "vertical_flip": lambda x: F.vertical_flip(x, grid=grid_420((32, 32))),
    "plan": lambda x: plan(Compose([Resize(8)]), [x], [None]),
    "to_pixels": lambda x: to_pixels(x),
}


@pytest.mark.parametrize("bands", [24, "zigzag-16", "square-4"])
@pytest.mark.parametrize("act", WHOLE_BLOCKS.values(), ids=map(str, WHOLE_BLOCKS))
def test_chosen_bands_do_not_pass_for_smaller_blocks(act, bands):
    """16 bands have the shape of blocks of 4, 4 and 1 those of 2 and 1, whatever was done since, and wherever they went."""
    normalize = Normalize(*([[[1.0] * len(kept) for kept in bands_of(bands)]] * 2))
    chosen = Compose([SelectBands(bands), RandomApply([normalize]), Quantize()])(planes())
    batch = stack([chosen, pickle.loads(pickle.dumps(chosen))]).to(torch.float64)
    batch, _ = MixUp(num_classes=2)(batch, torch.tensor([0, 1]))
    for selected in (chosen, batch, default_collate([chosen, chosen])):
        with pytest.raises(
            ValueError, match=r"needs all the bands .* got 16|64 channels of 8x8 blocks; plane y has shape"
        ):
            act(selected)


def test_all_bands_are_no_choice():
    assert type(SelectBands("all")(planes())) is Coefficients
    assert type(SelectBands(["all", "all", [0]])(planes())) is SelectedBands
    Cutout(5)(SelectBands(192)(planes()))


def test_real_files_at_another_quality(real_data: Path):
    """The integers that files hold, at a lower quality: fewer of them are left, and the error is half a step at most."""
    for path in sorted((real_data / "imagenet_samples").glob("*"))[:5]:
        image = read_jpeg(path)
        made = JPEGQuality(30)(image.coefficients)
        for plane, ours, steps in zip(image.coefficients, made, quality_steps(30).to(torch.float32), strict=True):
            assert bool(((ours - plane).abs() <= steps[:, None, None] / 2).all())
