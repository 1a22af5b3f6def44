"""Rings of the frequency plane against closed forms: a tone, Parseval; and when a curve has reached its end."""

import math

import numpy as np
import pytest
import torch

from dctnet.findings.low_frequencies import mean_ring, reached
from experiments.radial_spectrum import counts, passed, power, tilted, weighted


def wave(size, v, u):
    """cos(2 pi (v y + u x) / size), of mean square 1/2 but where the wave is its own conjugate."""
    y, x = torch.meshgrid(*2 * [torch.arange(size, dtype=torch.float64)], indexing="ij")
    return torch.cos(2 * math.pi * (v * y + u * x) / size)


@pytest.mark.parametrize("size", [8, 15, 32])
def test_rings_hold_every_coefficient_once(size):
    frequencies = torch.fft.fftfreq(size, 1 / size).double()
    radius = torch.hypot(frequencies[:, None], frequencies[None]).round().long()
    assert torch.equal(counts(size), torch.bincount(radius.flatten()).double())


@pytest.mark.parametrize(
    ("size", "v", "u", "ring", "squares"),
    [
        (32, 0, 0, 0, 1024),
        (32, 3, 4, 5, 512),
        (32, 3, -4, 5, 512),
        (32, 0, 16, 16, 1024),
        (32, 16, 16, 23, 1024),  # 22.6
        (32, 1, 1, 1, 512),  # 1.4
        (15, 7, 7, 10, 112.5),  # 9.9
    ],
)
def test_a_tone_lies_in_its_ring(size, v, u, ring, squares):
    found = power(wave(size, v, u)[None]) * counts(size)
    expected = torch.zeros_like(found)
    expected[ring] = squares
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("size", [8, 15, 32])
def test_parseval(size):
    pictures = torch.randn(5, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((counts(size) * power(pictures)).sum(), pictures.square().sum((-1, -2)).mean())


@pytest.mark.parametrize("radius", [0, 3, 11, 99])
@pytest.mark.parametrize("size", [15, 32])
def test_what_is_below_and_what_is_above_add_up_to_the_picture(size, radius):
    pictures = torch.randn(4, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    low, high = (weighted(pictures, passed(size, radius, above)) for above in (False, True))
    torch.testing.assert_close(low + high, pictures)
    assert (power(low)[radius + 1 :] < 1e-20).all() and (power(high)[: radius + 1] < 1e-20).all()


def test_a_low_pass_keeps_a_tone_or_kills_it():
    for radius, factor in ((4, 0), (5, 1)):
        torch.testing.assert_close(weighted(wave(32, 3, 4), passed(32, radius)), factor * wave(32, 3, 4))


@pytest.mark.parametrize("tilt", [0, 1, 1.5])
def test_tilted_pictures_have_the_power_that_was_asked_for(tilt):
    draws = torch.Generator().manual_seed(2)
    fall = 1 / (1 + torch.arange(len(counts(32)), dtype=torch.float64))
    pictures = weighted(torch.randn(20, 3, 32, 32, dtype=torch.float64, generator=draws), fall)
    spectrum = power(pictures)
    found = power(weighted(pictures, tilted(spectrum, 32, tilt)))
    ratio = found / spectrum ** (1 - tilt)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
    torch.testing.assert_close((counts(32) * found).sum(), (counts(32) * spectrum).sum())


@pytest.mark.parametrize("time", [3.0, 30.0, 200.0])
def test_a_curve_that_saturates_reaches_nine_tenths_when_it_should(time):
    steps = np.round(np.geomspace(1, 100000, 400))
    found = reached(steps, 60 - 50 * np.exp(-steps / time), start=10)
    assert found == pytest.approx(time * math.log(10), rel=0.02)


def test_the_first_time_counts_and_what_stays_at_chance_reaches_nothing():
    assert reached([1, 10, 100, 1000], [10, 60, 20, 60], 10) == pytest.approx(10**0.9, rel=0.02)
    assert reached([1, 10, 100], [58, 20, 60], 10) == 1
    assert reached([1, 10, 100], [10, 40, 12], 10) is None


def test_the_mean_ring_of_white_pictures_is_the_mean_over_coefficients():
    frequencies = np.fft.fftfreq(32, 1 / 32)
    radius = np.hypot(frequencies[:, None], frequencies[None])
    n = counts(32).numpy()
    assert mean_ring(np.ones(len(n)), n) == pytest.approx(radius.mean(), abs=0.05)
    tone = power(wave(32, 3, 4)[None]).numpy()
    assert mean_ring(tone, n) == pytest.approx(5)
