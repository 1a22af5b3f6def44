"""Tone curves of luma: torchvision's on gray pictures of whole numbers, exactly."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as pixel

from dctnet import dct
from dctnet.coefficients import Coefficients, grid_420, stack
from dctnet.transforms import RandomAutocontrast, RandomEqualize, RandomPosterize, RandomSolarize
from dctnet.transforms import functional as F
from tests.photographs import photographs, planes_of, random_rgb, rgb_of
from tests.test_color import assert_batch_is_pictures

SIZE = (30, 44)
BLOCKS = [1, 4, 8, 32, (16, 8)]


def gray(seed=0, low=40, high=200, size=SIZE):
    """Whole numbers, darker ones more often."""
    generator = torch.Generator().manual_seed(seed)
    return (low + (high - low) * torch.rand(1, *size, generator=generator) ** 2).round().to(torch.uint8)


def planes(levels, blocks=8, dtype=torch.float32):
    return planes_of(levels.double().expand(3, -1, -1), blocks, spacing=2).to(dtype)


CURVES = [
    (lambda p: F.autocontrast(p, grid=grid_420(SIZE)), lambda x: pixel.autocontrast(x.double() / 255) * 255),
    (lambda p: F.equalize(p, grid=grid_420(SIZE)), pixel.equalize),
    *((lambda p, b=b: F.posterize(p, b), lambda x, b=b: pixel.posterize(x, b)) for b in (0, 1, 4, 8)),
    *(
        (lambda p, t=t: F.solarize(p, t, grid=grid_420(SIZE)), lambda x, t=t: pixel.solarize(x, t))
        for t in (0, 100, 255)
    ),
]


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("curve", range(len(CURVES)))
def test_gray_pictures_are_torchvisions(curve, blocks):
    """From float32 planes, of a picture that does not fill its blocks."""
    ours, theirs = CURVES[curve]
    levels = gray()
    out = ours(planes(levels, blocks))
    samples = dct.block_idct(out.y)[..., : SIZE[0], : SIZE[1]] + 128
    torch.testing.assert_close(samples[None].double(), theirs(levels).double(), rtol=0, atol=2e-3)
    assert max(plane.abs().max() for plane in out[1:]) < 1e-3


@pytest.mark.parametrize("function", [F.autocontrast, F.equalize])
def test_one_gray_stays_as_it_is(function):
    out = function(planes(torch.full((1, 16, 16), 77, dtype=torch.uint8)))
    torch.testing.assert_close(dct.block_idct(out.y), torch.full((16, 16), 77.0 - 128), rtol=0, atol=1e-4)


def test_solarize_turns_the_chroma_of_what_it_inverts():
    """Left half bright, right half dark: chroma changes sign to the left; between them by what is covered."""
    luma = torch.full((16, 16), 200.0 - 128)
    luma[:, 7:] = 50.0 - 128
    chroma = torch.full((8, 8), 30.0)
    out = F.solarize(Coefficients(dct.block_dct(luma), *(dct.block_dct(chroma),) * 2), 128)
    truth = torch.tensor([-30.0] * 3 + [0.0] + [30.0] * 4).expand(8, 8)
    torch.testing.assert_close(dct.block_idct(out.cb), truth, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "transform", [RandomAutocontrast(), RandomEqualize(), RandomPosterize(3), RandomSolarize(128)], ids=repr
)
def test_a_batch_is_its_pictures_one_by_one(transform):
    assert_batch_is_pictures(transform, tolerance=5e-3)
    theirs = {"RandomPosterize": {"bits": 3}, "RandomSolarize": {"threshold": 128}}.get(type(transform).__name__, {})
    assert repr(transform) == repr(getattr(v2, type(transform).__name__)(**theirs))


def test_parameters_of_each_picture():
    batch = stack([planes(gray(seed)) for seed in range(3)])
    bits, thresholds = torch.tensor([2, 8, 5]), torch.tensor([60.0, 120.0, 255.0])
    posterized, solarized = F.posterize(batch, bits), F.solarize(batch, thresholds, grid=grid_420(SIZE))
    for i in range(3):
        one = batch.map(lambda plane, i=i: plane[i])
        torch.testing.assert_close(posterized.y[i], F.posterize(one, int(bits[i])).y, rtol=0, atol=2e-3)
        alone = F.solarize(one, float(thresholds[i]), grid=grid_420(SIZE))
        torch.testing.assert_close(solarized.y[i], alone.y, rtol=0, atol=2e-3)


def test_gradients():
    plane = planes_of(random_rgb((8, 8)), 4).y.requires_grad_()  # of whole numbers several would be darkest
    rest = torch.zeros(16, 1, 1, dtype=torch.float64)
    for function in (F.autocontrast, lambda p: F.solarize(p, 100.2)):
        assert torch.autograd.gradcheck(lambda y, f=function: f(Coefficients(y, rest, rest)).y, (plane,))


def test_how_far_photographs_are_from_torchvision(real_data):
    """The figures that the docstrings quote: mean distance of R, G and B in gray levels."""
    rgb = photographs(real_data)
    pixels, coefficients = rgb.to(torch.uint8), planes_of(rgb)
    cases = {
        "autocontrast": (F.autocontrast(coefficients), pixel.autocontrast(pixels), 1.3),
        "equalize": (F.equalize(coefficients), pixel.equalize(pixels), 20),
        "posterize 4": (F.posterize(coefficients, 4), pixel.posterize(pixels, 4), 5),
        "solarize 128": (F.solarize(coefficients, 128), pixel.solarize(pixels, 128), 25),
    }
    print()
    for name, (ours, truth, bound) in cases.items():
        distance = (rgb_of(ours, rgb.shape[-2:]).clamp(0, 255) - truth).abs().mean().item()
        print(f"{name}: {distance:.1f} off, changed by {(truth - rgb).abs().mean():.1f}")
        assert distance < bound


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: F.posterize(p, 9), r"bits is a whole number in \[0, 8\]; got 9"),
        (lambda p: F.posterize(p, 2.5), r"bits is a whole number in \[0, 8\]; got 2.5"),
        (lambda p: F.solarize(p, 256), "threshold is a finite number at most 255; got 256"),
        (lambda p: RandomPosterize(-1), r"bits is a whole number in \[0, 8\]; got -1"),
        (lambda p: RandomEqualize(2), r"p is a number in \[0, 1\]; got 2"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(planes(gray()))
