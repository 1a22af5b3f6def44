"""Colour transforms of coefficients, against torchvision on RGB in float64."""

import math

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as pixel

from dctnet import dct
from dctnet.coefficients import Coefficients, grid_420, stack
from dctnet.transforms import ColorJitter, RandomChromaDrop, RandomGrayscale, RandomInvert
from dctnet.transforms import functional as F
from tests.photographs import photographs, planes_of, random_rgb, rgb_of

ATOL = 1e-4  # gray levels
SIZE = (36, 50)
BLOCKS = [1, 2, 4, 8, 16, 32, (8, 4), (16, 8)]
# torchvision's gray weighs red by 0.2989, JPEG's by 0.299.
GRAY = 1e-4 * 255


def deviation(planes, truth):
    """The largest distance, in gray levels of R, G and B."""
    return (rgb_of(planes, truth.shape[-2:]) - truth).abs().max().item()


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("factor", [0.0, 0.7, 1.0, 1.3])
def test_brightness_contrast_and_saturation_are_torchvisions(blocks, factor):
    """Colours far enough from 0 and 255 that torchvision clamps nothing; a picture that does not fill its blocks."""
    rgb = random_rgb(SIZE, 90, 160)
    planes, grid = planes_of(rgb, blocks), grid_444(SIZE)
    truth = pixel.adjust_brightness(rgb / 255, factor) * 255
    assert deviation(F.adjust_brightness(planes, factor), truth) < ATOL
    tolerance = ATOL + GRAY * abs(1 - factor)
    truth = pixel.adjust_contrast(rgb / 255, factor) * 255
    assert deviation(F.adjust_contrast(planes, factor, grid=grid), truth) < tolerance
    truth = pixel.adjust_saturation(rgb / 255, factor) * 255
    assert deviation(F.adjust_saturation(planes, factor), truth) < tolerance


def grid_444(size):
    return grid_420(size)._replace(spacing=(grid_420(size).spacing[0],) * 3)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_contrast_saturation_and_grayscale_with_the_weights_of_jpeg(blocks):
    """The formulas of torchvision with 0.299 for 0.2989: exact."""
    rgb = random_rgb(SIZE)
    planes = planes_of(rgb, blocks)
    gray = (rgb * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]).sum(0, keepdim=True)
    assert deviation(F.rgb_to_grayscale(planes), gray.expand_as(rgb)) < ATOL
    assert deviation(F.adjust_saturation(planes, 1.4), 1.4 * rgb - 0.4 * gray) < ATOL
    assert deviation(F.adjust_contrast(planes, 1.4, grid=grid_444(SIZE)), 1.4 * rgb - 0.4 * gray.mean()) < ATOL


@pytest.mark.parametrize("blocks", BLOCKS)
def test_inversion_is_torchvisions(blocks):
    rgb = random_rgb(SIZE)
    assert deviation(F.invert(planes_of(rgb, blocks)), pixel.invert(rgb / 255) * 255) < ATOL


def test_chroma_of_half_the_resolution():
    """Linear maps commute with the averaging of chroma."""
    rgb = random_rgb((32, 48), 90, 160)
    truth = planes_of(pixel.adjust_brightness(rgb / 255, 1.25) * 255, spacing=2)
    for ours, plane in zip(F.adjust_brightness(planes_of(rgb, spacing=2), 1.25), truth, strict=True):
        torch.testing.assert_close(dct.block_idct(ours), dct.block_idct(plane), rtol=0, atol=ATOL)


def test_hue_turns_chroma_and_keeps_luma():
    planes = planes_of(random_rgb(SIZE), (8, 4))
    turned = F.adjust_hue(planes, 0.1)
    assert torch.equal(turned.y, planes.y)
    plane, truth = (torch.complex(p.cb, p.cr) for p in (turned, planes))
    torch.testing.assert_close(plane, truth * complex(math.cos(0.2 * math.pi), math.sin(0.2 * math.pi)))


def test_hue_turns_in_the_sense_of_hsv():
    """Red, turned by a third, is nearest to green, and by two thirds to blue."""
    colours = 255 * torch.eye(3, dtype=torch.float64)[:, :, None, None].expand(3, 3, 8, 8)
    planes = planes_of(colours)
    angle = torch.atan2(planes.cr[:, 0, 0, 0], planes.cb[:, 0, 0, 0])
    turned = F.adjust_hue(planes, 1 / 3)
    moved = torch.atan2(turned.cr[:, 0, 0, 0], turned.cb[:, 0, 0, 0])
    distance = torch.remainder(moved - angle.roll(-1) + math.pi, 2 * math.pi) - math.pi
    assert distance.abs().max() < math.radians(4)


def test_how_far_photographs_are_from_torchvision(real_data):
    """The figures that the docstrings quote: mean distance of R, G and B in gray levels, clamped and not clamped."""
    rgb = photographs(real_data)
    planes = planes_of(rgb)

    def means(ours, truth):
        ours = rgb_of(ours, rgb.shape[-2:])
        return [(levels - truth).abs().mean().item() for levels in (ours, ours.clamp(0, 255))]

    print()
    for name in ("brightness", "contrast", "saturation"):
        for factor in (0.6, 1.2, 1.4):
            adjust = f"adjust_{name}"
            truth = getattr(pixel, adjust)(rgb / 255, factor) * 255
            unclamped, clamped = means(getattr(F, adjust)(planes, factor), truth)
            print(f"{name} {factor}: {unclamped:.3f} without the clamp, {clamped:.4f} clamped at the end")
            assert clamped < 0.01 and unclamped < {0.6: 0.01, 1.2: 1.1, 1.4: 4.5}[factor]
    for hue in (-0.5, -0.1, -0.05, 0.05, 0.1, 0.5):
        truth = pixel.adjust_hue(rgb / 255, hue) * 255
        ours = F.adjust_hue(planes, hue)
        change = (truth - rgb).abs().mean().item()
        turned = planes_of(truth)
        chroma = torch.stack([dct.block_idct(a - b).abs().mean() for a, b in zip(turned[1:], ours[1:], strict=True)])
        moved = torch.stack([dct.block_idct(a - b).abs().mean() for a, b in zip(turned[1:], planes[1:], strict=True)])
        print(
            f"hue {hue}: R, G and B {means(ours, truth)[1]:.1f} off (torchvision changes them by {change:.1f}), "
            f"Cb and Cr {chroma.mean():.2f} off (changed by {moved.mean():.1f})"
        )
        assert means(ours, truth)[1] < 16 and chroma.mean() < 0.35 * moved.mean()


class Recorder(v2.ColorJitter):
    def make_params(self, flat_inputs):
        self.drawn = super().make_params(flat_inputs)
        return self.drawn


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "settings", [{"brightness": 0.2, "contrast": 0.3, "saturation": 0.4, "hue": 0.1}, {"contrast": (0.5, 0.9)}]
)
def test_jitter_draws_torchvisions_factors(seed, settings):
    theirs = Recorder(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        theirs(torch.zeros(3, 8, 8))
    ours = ColorJitter(**settings).draw(SIZE, torch.Generator().manual_seed(seed))
    names = ("brightness", "contrast", "saturation", "hue")
    truth = [theirs.drawn[f"{name}_factor"] for name in names]
    assert list(ours) == [(name != "hue") * 1.0 if f is None else f for name, f in zip(names, truth, strict=True)]
    assert repr(ColorJitter(**settings)) == repr(v2.ColorJitter(**settings))


@pytest.mark.parametrize("seed", range(6))
def test_jitter_is_torchvisions_in_whatever_order(seed):
    rgb = random_rgb(SIZE, 100, 150)
    settings = {"brightness": 0.2, "contrast": 0.3, "saturation": 0.4}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        truth = v2.ColorJitter(**settings)(rgb / 255) * 255
    ours = ColorJitter(**settings)(planes_of(rgb), torch.Generator().manual_seed(seed), SIZE)
    assert deviation(ours, truth) < ATOL + GRAY


TRANSFORMS = [
    ColorJitter(0.3, 0.3, 0.3, 0.2),
    RandomGrayscale(0.5),
    RandomInvert(0.5),
    RandomChromaDrop(0.7),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_a_batch_is_its_pictures_one_by_one(transform):
    assert_batch_is_pictures(transform)


def assert_batch_is_pictures(transform, size=(29, 45), dtype=torch.float32, tolerance=2e-3):
    """One call with a parameter a picture equals a call for each; half precision is rounded once."""
    pictures = [planes_of(random_rgb((32, 48), seed=i), (8, 4), spacing=2).to(dtype) for i in range(5)]
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.tensor(transform.draw(size, generator), dtype=torch.float64) for _ in pictures]
    batch = transform.apply(stack(pictures), torch.stack(drawn), size)
    for i, (picture, parameters) in enumerate(zip(pictures, drawn, strict=True)):
        for together, alone in zip(batch, transform.apply(picture, parameters, size), strict=True):
            assert together.dtype == alone.dtype == dtype
            torch.testing.assert_close(together[i], alone, rtol=0, atol=tolerance)
    half = transform.apply(stack(pictures).to(torch.bfloat16), torch.stack(drawn), size)
    same = transform.apply(stack(pictures).to(torch.bfloat16).to(torch.float32), torch.stack(drawn), size)
    for rounded, plane in zip(half, same, strict=True):
        assert rounded.dtype == torch.bfloat16
        torch.testing.assert_close(rounded, plane.to(torch.bfloat16), rtol=2**-7, atol=1e-3)


@pytest.mark.parametrize("function", [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue])
def test_gradients_of_planes_and_factors(function):
    planes = planes_of(random_rgb((8, 8), count=(2,)), 4)
    factors = torch.tensor([0.2, 0.4], dtype=torch.float64)
    leaves = [leaf.requires_grad_() for leaf in (*planes, factors)]
    assert torch.autograd.gradcheck(lambda y, cb, cr, f: tuple(function(Coefficients(y, cb, cr), f)), leaves)


def test_blocks_stay_contiguous():
    planes = stack([planes_of(random_rgb((32, 32), seed=i)) for i in range(2)])
    for transform in TRANSFORMS:
        out = transform.apply(planes, torch.tensor([transform.draw((32, 32), None)] * 2).double(), (32, 32))
        assert all(plane.is_contiguous(memory_format=torch.channels_last) for plane in out), transform


def test_chroma_is_dropped_as_often_as_asked():
    planes = planes_of(random_rgb((8, 8)))
    generator = torch.Generator().manual_seed(0)
    drop = RandomChromaDrop(0.5)
    dropped = [tuple(bool(plane.any()) for plane in drop(planes, generator)[1:]) for _ in range(400)]
    # Binomial counts: six deviations are 60 and 52.
    assert abs(dropped.count((True, True)) - 200) < 60
    assert abs(dropped.count((False, True)) - 100) < 52 and abs(dropped.count((True, False)) - 100) < 52


def test_the_chance_is_torchvisions():
    planes = planes_of(random_rgb((8, 8)))
    for seed in range(20):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            truth = bool((v2.RandomInvert(0.5)(torch.zeros(3, 8, 8)) == 1).all())
        inverted = RandomInvert(0.5)(planes, torch.Generator().manual_seed(seed))
        assert torch.equal(inverted.cb, -planes.cb) == truth


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: F.adjust_brightness(p, -0.1), "brightness_factor is a finite number at least 0; got -0.1"),
        (lambda p: F.adjust_contrast(p, -1), "contrast_factor is a finite number at least 0; got -1"),
        (lambda p: F.adjust_saturation(p, float("nan")), "saturation_factor is a finite number at least 0; got nan"),
        (lambda p: F.adjust_hue(p, 0.6), r"hue_factor is a number in \[-0.5, 0.5\]; got 0.6"),
        (lambda p: F.adjust_hue(p, torch.tensor([0.1, 0.2])), r"one for each of the \(\) pictures.*got shape \(2,\)"),
        (lambda p: F.drop_chroma(p, 3), r"plane is a whole number in \[0, 2\]; got 3"),
        (
            lambda p: ColorJitter(brightness=-1),
            "brightness, unless a range of factors, is a finite number at least 0; got -1",
        ),
        (lambda p: ColorJitter(hue=(0.2, 0.1)), r"range \(from, to\).* in \[-0.5, 0.5\]; got \(0.2, 0.1\)"),
        (lambda p: ColorJitter(hue=0.7), "got 0.7"),
        (lambda p: RandomGrayscale(1.5), r"p is a number in \[0, 1\]; got 1.5"),
        (lambda p: RandomChromaDrop(-1), r"p is a number in \[0, 1\]; got -1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(planes_of(random_rgb((8, 8))))
