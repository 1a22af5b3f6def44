"""Noise on coefficients: in distribution that on samples."""

import math

import pytest
import torch

from dctnet import dct
from dctnet.coefficients import Coefficients, stack
from dctnet.transforms import GaussianNoise, LaplaceNoise, UniformNoise
from dctnet.transforms import functional as F

FUNCTIONS = [F.gaussian_noise, F.uniform_noise, F.laplace_noise]


def distribution(function, x):
    """The probability of a value below x, at deviation 1."""
    if function is F.gaussian_noise:
        return torch.special.ndtr(x)
    if function is F.uniform_noise:
        return (x / (2 * math.sqrt(3)) + 0.5).clamp(0, 1)
    return 0.5 * (1 + x.sign() * (1 - torch.exp(-math.sqrt(2) * x.abs())))


def silence(b, side=128, lead=()):
    return Coefficients(*(torch.zeros(*lead, side // b, side // b, b * b).movedim(-1, -3) for _ in range(3)))


@pytest.mark.parametrize("b", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_samples_have_the_distribution_and_are_independent(function, b):
    """Kolmogorov and Smirnov's distance below what chance exceeds once in 10^5; covariances within five deviations."""
    planes = function(silence(b), sigma=12.0, generator=torch.Generator().manual_seed(b))
    for plane in planes:
        samples = dct.block_idct(plane).double()
        ordered = samples.flatten().sort().values / 12
        n = len(ordered)
        step = torch.arange(n + 1, dtype=torch.float64) / n
        probability = distribution(function, ordered)
        distance = torch.maximum((probability - step[:-1]).abs().max(), (step[1:] - probability).abs().max())
        assert distance < 2.47 / math.sqrt(n)
        blocks = samples.unfold(0, 4, 4).unfold(1, 4, 4).reshape(-1, 16) / 12  # neighbours, across and in blocks
        covariance = blocks.T @ blocks / len(blocks)
        off = covariance - covariance.diag().diag()
        assert off.abs().max() < 5 / math.sqrt(len(blocks))
    y, cb, cr = (plane.flatten().double() / 12 for plane in planes)
    for one, other in ((y, cb), (y, cr), (cb, cr)):
        assert (one * other).mean().abs() < 5 / math.sqrt(len(one))


def test_mean_is_that_of_luma_and_sigmas_are_of_planes():
    out = F.gaussian_noise(silence(8), 20.0, (0.0, 3.0, 6.0), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(dct.block_idct(out.y), torch.full((128, 128), 20.0), rtol=0, atol=1e-4)
    assert abs(out.cb.std() - 3) < 0.06 and abs(out.cr.std() - 6) < 0.12


@pytest.mark.parametrize(
    "transform", [GaussianNoise(3.0, 8.0), UniformNoise(5.0), LaplaceNoise((4.0, 2.0, 1.0))], ids=repr
)
def test_the_seed_decides_whatever_the_batch(transform):
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.tensor(transform.draw((64, 64), generator), dtype=torch.float64) for _ in range(4)]
    assert len({float(parameters[-1]) for parameters in drawn}) == 4
    batch = transform.apply(silence(8, 64, (4,)), torch.stack(drawn), (64, 64))
    for i in (2, 0, 3, 1):
        alone = transform.apply(silence(8, 64), drawn[i], (64, 64))
        for together, plane in zip(batch, alone, strict=True):
            torch.testing.assert_close(together[i], plane, rtol=0, atol=1e-5)
    assert batch.y.is_contiguous(memory_format=torch.channels_last)
    of_one_draw = transform(silence(8, 64, (4,)), torch.Generator().manual_seed(0))
    assert len({plane.sum().item() for plane in of_one_draw.y}) == 4
    half = transform.apply(silence(8, 64, (4,)).to(torch.bfloat16), torch.stack(drawn), (64, 64))
    torch.testing.assert_close(half.y, batch.y.to(torch.bfloat16))


def test_sigma_has_a_gradient_and_may_be_one_a_picture():
    sigma = torch.tensor([1.0, 5.0], requires_grad=True)
    out = F.gaussian_noise(stack([silence(8, 64)] * 2), sigma=sigma, generator=torch.Generator().manual_seed(0))
    assert abs(out.y[0].std() - 1) < 0.1 and abs(out.y[1].std() - 5) < 0.5
    out.y.square().sum().backward()
    torch.testing.assert_close(sigma.grad, 2 * out.y.detach().square().sum((1, 2, 3)) / sigma.detach())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: F.gaussian_noise(p, sigma=-1.0), "sigma is a finite number at least 0; got -1"),
        (lambda p: F.uniform_noise(p, (1.0, 2.0)), "three for Y, Cb and Cr"),
        (lambda p: F.laplace_noise(p, generator=[None, None]), "got 2 for 1"),
        (lambda p: GaussianNoise(sigma=(1, -2, 3)), r"1 or 3 finite numbers at least 0; got \(1, -2, 3\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(silence(8, 16))
