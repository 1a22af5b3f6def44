"""BPDA and EOT against gradients that are known."""

import math

import pytest
import torch
from torch import nn

from dctnet.robustness.adaptive import BPDA, Expectation, bpda, expectation
from dctnet.robustness.attacks import attack
from dctnet.robustness.budget import lengths
from tests.test_attacks import Linear, conv, grays, labels_of, pictures, worst


class Round(nn.Module):
    """To so many levels; no gradient."""

    differentiable, random, lossless = False, False, 0.0

    def __init__(self, levels=8):
        super().__init__()
        self.strength = self.levels = levels

    def forward(self, pixels):
        return (pixels * self.levels).round() / self.levels


class Soft(nn.Module):
    """What rounding is near, with a gradient: x - sin(2 pi levels x) / (2 pi levels)."""

    def __init__(self, levels=8):
        super().__init__()
        self.rate = 2 * math.pi * levels

    def forward(self, pixels):
        return pixels - (self.rate * pixels).sin() / self.rate


class Noise(nn.Module):
    differentiable, random, lossless = True, True, 0.0

    def __init__(self, strength=0.1):
        super().__init__()
        self.strength = strength

    def forward(self, pixels):
        return pixels + self.strength * torch.randn_like(pixels)


class Gain(nn.Module):
    """Each picture times a number drawn from 1 to 3."""

    def forward(self, pixels):
        return pixels * (1 + 2 * torch.rand(len(pixels), 1, 1, 1, dtype=pixels.dtype))


def gradient(function, pixels):
    inputs = pixels.clone().requires_grad_()
    return torch.autograd.grad(function(inputs), inputs)[0]


def test_forwards_the_channel_is_exact():
    pixels = torch.rand(4, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    for backward in ("identity", Soft()):
        assert torch.equal(bpda(Round(), backward)(pixels), Round()(pixels))
        assert torch.equal(bpda(Round(), backward)(pixels.requires_grad_()), Round()(pixels))


def test_backwards_identity_is_the_gradient_at_the_rounded_picture():
    network, pixels = conv().double(), pictures().double()
    rounded = Round()(pixels)
    ours = gradient(lambda x: network(bpda(Round())(x))[:, 3].sum(), pixels)
    assert torch.equal(ours, gradient(lambda x: network(x)[:, 3].sum(), rounded))
    assert not gradient(lambda x: network(Round()(x))[:, 3].sum(), pixels).any()


def test_backwards_a_surrogate_is_multiplied_by_the_chain_rule():
    network, pixels = conv().double(), pictures().double()
    ours = gradient(lambda x: network(bpda(Round(), Soft())(x))[:, 3].sum(), pixels)
    slope = 1 - torch.cos(2 * math.pi * 8 * pixels)
    torch.testing.assert_close(ours, slope * gradient(lambda x: network(x)[:, 3].sum(), Round()(pixels)))


def test_of_a_differentiable_channel_that_is_its_own_surrogate_nothing_changes():
    pixels = grays(n=2)
    assert torch.autograd.gradcheck(bpda(Soft(1), Soft(1)), (pixels.requires_grad_(),))
    assert torch.autograd.gradgradcheck(bpda(Soft(1), Soft(1)), (pixels,))


def test_the_gradient_of_the_expectation_is_the_mean_over_draws():
    """The draws repeated one by one from the same state of the generator."""
    network, pixels = conv().double(), pictures(n=2).double()
    torch.manual_seed(5)
    ours = gradient(lambda x: expectation(network, Noise(), samples=6)(x)[:, 2].sum(), pixels)
    torch.manual_seed(5)
    draws = [gradient(lambda x: network(Noise()(x))[:, 2].sum(), pixels) for _ in range(6)]
    torch.testing.assert_close(ours, torch.stack(draws).mean(0))


def test_it_converges_to_the_gradient_of_the_mean():
    """Of a linear network behind a random gain of mean 2 the gradient is 2 w, with an error of std(gain) / sqrt(K)."""
    network, pixels = Linear().eval(), grays(n=64)
    truth = 2 * network.weight.detach()
    torch.manual_seed(0)
    for samples in (4, 64):
        ours = gradient(
            lambda x, k=samples: network.margin(0 * x).sum() + expectation(network, Gain(), k)(x)[:, 1].sum() * 2,
            pixels,
        )
        scale = (ours / truth - 1).flatten(1)[:, 0]
        expected = (1 / 3) ** 0.5 / 2 / samples**0.5  # a uniform number of [1, 3] has the variance 1/3
        assert scale.square().mean().sqrt() == pytest.approx(expected, rel=0.35)


def test_of_additive_noise_before_a_linear_network_it_is_exact():
    network, pixels = Linear().eval(), grays()
    ours = gradient(lambda x: 2 * expectation(network, Noise(), 3)(x)[:, 1].sum(), pixels)
    torch.testing.assert_close(ours, network.weight.detach().expand_as(ours))
    # Of the cross-entropy, which bends, the gradient comes near that at the mean.
    labels = labels_of(network, pixels)
    loss = lambda made: gradient(lambda x: nn.functional.cross_entropy(made(x), labels, reduction="sum"), pixels)  # noqa: E731
    torch.manual_seed(0)
    off = [(loss(expectation(network, Noise(0.05), k)) - loss(network)).norm() / loss(network).norm() for k in (1, 400)]
    assert off[1] < 0.25 * off[0]


@pytest.mark.parametrize("name, options", [("pgd", {"steps": 20}), ("pgd_l2", {"steps": 20}), ("fgsm", {})])
def test_pgd_behind_a_rounding_channel_does_what_it_does_to_the_network(name, options):
    """With BPDA the worst point of a linear network is reached, without it nothing is."""
    network, pixels = Linear().eval(), grays()
    labels = labels_of(network, pixels)
    hidden, seen = nn.Sequential(Round(256), network).eval(), nn.Sequential(bpda(Round(256)), network).eval()
    epsilon = 0.03 if name != "pgd_l2" else 0.2
    margins = {}
    for key, made in (("hidden", hidden), ("seen", seen), ("bare", network)):
        found = attack(name, made, pixels, labels, epsilon=epsilon, **options)
        margins[key] = (network.margin(found) - network.margin(pixels)) * (1 - 2 * labels)
    torch.testing.assert_close(margins["seen"], margins["bare"], rtol=0.02, atol=0)
    assert (margins["hidden"].abs() < 0.5 * margins["bare"]).all()


def test_cw_goes_through_both():
    """Nearest pictures of a linear network behind rounding and noise, as far as the boundary of the mean."""
    network, pixels = Linear((3, 8, 8)).eval(), grays(n=4, size=(3, 8, 8), spread=0.12)
    labels = labels_of(network, pixels)
    distance = network.margin(pixels).abs() / network.weight.norm()
    made = expectation(network, nn.Sequential(Noise(0.002), bpda(Round(1024))), samples=8)
    options = {"steps": 150, "search_steps": 7, "step": 0.005}
    found = attack("cw", made, pixels, labels, epsilon=None, **options)
    moved = lengths(found - pixels, "l2")
    assert (moved > 0.9 * distance).all() and (moved < 1.15 * distance + 0.01).all(), moved / distance
    assert torch.equal(found, attack("cw", made, pixels, labels, epsilon=None, **options))


def test_eot_finds_the_direction_that_one_draw_hides():
    """Noise as strong as the picture in a network that bends: the sign of one draw's gradient is worth less."""

    class Bent(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = Linear((3, 8, 8))

        def forward(self, pixels):
            m = (0.4 * self.linear.margin(pixels)).sin() + 0.1 * self.linear.margin(pixels)
            return torch.stack([-m, m], 1)

    network, pixels = Bent().eval(), grays(n=16, size=(3, 8, 8), spread=0.01)
    labels = labels_of(network.linear, pixels)
    direction = worst(network.linear, pixels, labels).sign()
    agreed = {}
    for samples in (1, 200):
        made = expectation(network, Noise(0.3), samples)
        found = attack("fgsm", made, pixels, labels, epsilon=0.01)
        agreed[samples] = ((found - pixels).sign() == direction).double().mean()
    assert agreed[200] > agreed[1] and agreed[200] > 0.9


def test_what_is_known_of_a_channel_is_passed_on():
    assert bpda(Noise()).random and not bpda(Round()).random and BPDA.differentiable
    assert not expectation(conv(), Noise()).training
    assert isinstance(expectation(conv()).channel, nn.Identity) and Expectation(conv(), Noise(), 3).samples == 3


@pytest.mark.parametrize("make, says", [
    (lambda: bpda(len), "channel"),
    (lambda: bpda(Round(), "linear"), "identity"),
    (lambda: bpda(Round(), None), "identity"),
    (lambda: bpda(nn.AvgPool2d(2))(torch.zeros(1, 3, 4, 4)), "changes the size"),
    (lambda: expectation(conv(), Noise(), 0), "samples"),
    (lambda: expectation(conv(), Noise(), 2.0), "samples"),
])  # fmt: skip
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
