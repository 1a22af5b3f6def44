"""Weights of the frequencies of luma blocks."""

import pytest
import torch

from dctnet.coefficients import Coefficients
from dctnet.transforms import FrequencyEnhancement, MidFrequencyAugmentation, SpectralSharpness
from dctnet.transforms import functional as F
from tests.photographs import planes_of, random_rgb
from tests.test_color import assert_batch_is_pictures

FUNCTIONS = [F.frequency_enhancement, F.spectral_sharpness, F.mid_frequency_augmentation]


@pytest.mark.parametrize("b", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_means_and_chroma_stay(function, b):
    planes = planes_of(random_rgb((32, 64)), b)
    out = function(planes, 0.7)
    assert torch.equal(out.y[0], planes.y[0]) and torch.equal(out.cb, planes.cb) and torch.equal(out.cr, planes.cr)


def test_gains_are_the_papers():
    """Equation 5.3 of the paper, written out; the hump is highest at frequencies 3 and 4 and one at both ends."""
    ones = Coefficients(*(torch.ones(64, 1, 1, dtype=torch.float64) for _ in range(3)))
    for t in (-1.5, -0.3, 0.6):
        axis = torch.tensor([max(1 + t * u / 7, 0) for u in range(8)], dtype=torch.float64)
        torch.testing.assert_close(F.spectral_sharpness(ones, t).y[:, 0, 0].view(8, 8), axis.outer(axis))
    gain = F.mid_frequency_augmentation(ones, 0.6).y[:, 0, 0].view(8, 8)
    assert gain[3, 3] == gain[3, 4] == gain[4, 4] == gain.max() and gain[0, 0] == gain[7, 7] == 1
    assert (F.frequency_enhancement(ones, 1.7).y[1:] == 1.7).all()


@pytest.mark.parametrize(
    "transform", [FrequencyEnhancement(), SpectralSharpness(), MidFrequencyAugmentation(0.2)], ids=repr
)
def test_a_batch_is_its_pictures_one_by_one(transform):
    assert_batch_is_pictures(transform)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients(function):
    plane = planes_of(random_rgb((8, 8), count=(2,)), 4).y.requires_grad_()
    strength = torch.tensor([0.3, 0.6], dtype=torch.float64, requires_grad=True)
    rest = torch.zeros(2, 16, 1, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda y, t: function(Coefficients(y, rest, rest), t).y, (plane, strength))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: F.frequency_enhancement(p, -1), "factor is a finite number at least 0; got -1"),
        (
            lambda p: FrequencyEnhancement((-1, 2)),
            r"factor is a number, or a range \(from, to\).* at least 0; got \(-1, 2\)",
        ),
        (
            lambda p: SpectralSharpness((2, 1)),
            r"strength is a number, or a range \(from, to\), from <= to.*; got \(2, 1\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(planes_of(random_rgb((8, 8))))
