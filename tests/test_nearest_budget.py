"""The smallest budgets of FGSM and PGD: against the closed form of linear networks, and against a scan of budgets of others."""

import pytest
import torch
from torch import nn

from dctnet.models.zoo import create_model
from dctnet.robustness.attacks import ATTACKS, attack, options_of
from dctnet.robustness.budget import lengths
from dctnet.robustness.nearest_budget import budgets
from dctnet.robustness.pixel_classifier import PixelClassifier
from tests.test_attacks import Linear, conv, grays, labels_of, pictures

NEAREST = {"fgsm_nearest": "fgsm", "pgd_nearest": "pgd"}
RESOLUTION = 1 / 32 / 2**9  # of the defaults, where 1/32 fools
both = pytest.mark.parametrize("name", NEAREST)


def moved(pixels, found):
    return lengths(found.double() - pixels.double(), "linf")


@both
@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_of_a_linear_network_it_is_the_margin_over_the_l1_norm(name, spread):
    network, pixels = Linear().eval(), grays(n=24, spread=spread).clamp(0.3, 0.7)
    labels = labels_of(network, pixels)
    distance = network.margin(pixels).abs() / network.weight.abs().sum()
    assert (distance > 1e-3).sum() > 10 and (spread == 0.02 or (distance > 1 / 32).any())  # some have to be doubled
    found = attack(name, network, pixels, labels, epsilon=None, search_steps=14)
    far = moved(pixels, found)
    step = torch.where(distance < 1 / 32, 2.0**-18, 2.0**-11)  # 13 halvings of 1/32, 9 of the last doubling
    assert (labels_of(network, found) != labels).all()
    assert ((far >= distance) & (far <= distance + step + 1e-9)).all(), (far - distance) / step


@both
def test_a_cap_leaves_what_is_farther_as_it_was(name):
    network, pixels = Linear().eval(), grays(n=24)
    labels = labels_of(network, pixels)
    distance = network.margin(pixels).abs() / network.weight.abs().sum()
    cap = distance.median().item() * 1.01
    found = attack(name, network, pixels, labels, epsilon=cap)
    near = distance <= cap
    assert 0 < near.sum() < 24 and torch.equal(labels_of(network, found) != labels, near)
    assert torch.equal(found[~near], pixels[~near]) and moved(pixels, found).max() <= cap


@both
def test_it_is_the_attack_at_that_budget_and_no_budget_below_fools(name):
    """A scan of 40 budgets of the attack itself, on a network with kinks and pictures with black and white."""
    network, pixels = conv(), pictures(n=8)
    labels = labels_of(network, pixels)
    options = {"steps": 20, "random_start": False} if name == "pgd_nearest" else {}
    found = attack(name, network, pixels, labels, epsilon=None)
    far = moved(pixels, found)
    assert (labels_of(network, found) != labels).all() and (far > 0).all() and (far < 1 / 32).all()
    for number in range(8):
        one = slice(number, number + 1)
        same = attack(NEAREST[name], network, pixels[one], labels[one], epsilon=far[number].item(), **options)
        torch.testing.assert_close(same, found[one], rtol=0, atol=1e-6)
    for budget in torch.linspace(0, 1 / 32, 40).tolist():
        fooled = labels_of(network, attack(NEAREST[name], network, pixels, labels, epsilon=budget, **options)) != labels
        assert (far[fooled] <= budget + RESOLUTION).all()


class Waves(Linear):
    """Where a straight step goes past the top of a wave, and many small ones do not."""

    def margin(self, pixels):
        return ((40 * (pixels - 0.5)).sin() * self.weight).flatten(1).sum(1) + 0.5 * self.weight.abs().sum()


def test_pgd_comes_nearer_than_fgsm_where_the_network_bends():
    network, pixels = Waves().eval(), grays(n=12)
    labels = labels_of(network, pixels)
    single, many = (attack(name, network, pixels, labels, epsilon=None) for name in NEAREST)
    assert (labels_of(network, many) != labels).all()
    lost = labels_of(network, single) != labels
    single, many = moved(pixels, single), moved(pixels, many)
    assert lost.sum() < 12 and (many[lost] <= single[lost] + RESOLUTION).all()
    assert (many[lost] < single[lost] - RESOLUTION).sum() >= 8


@both
def test_wrong_pictures_stay_and_the_others_do_not_depend_on_them(name):
    network, pixels = conv(), pictures(n=6)
    labels = labels_of(network, pixels)
    labels[::2] = (labels[::2] + 1) % 10
    found = attack(name, network, pixels, labels, epsilon=None)
    assert torch.equal(found[::2], pixels[::2])
    torch.testing.assert_close(
        found[1::2], attack(name, network, pixels[1::2], labels[1::2], epsilon=None), rtol=0, atol=1e-6
    )
    every = (labels_of(network, pixels) + 1) % 10
    assert torch.equal(attack(name, network, pixels, every, epsilon=None), pixels)


class Window(nn.Module):
    """Wrong between two brightnesses alone, so that a smaller budget fools where a larger one does not."""

    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, pixels):
        mean = pixels.mean((1, 2, 3))
        inside = torch.minimum(mean - self.low, self.high - mean)
        return torch.stack([-inside, inside], 1)


@both
@pytest.mark.parametrize("low, high", [(0.505, 0.52), (0.65, 0.8)])
def test_a_window_below_or_above_the_first_try_is_found(name, low, high):
    pixels, labels = torch.full((1, 3, 4, 4), 0.5), torch.tensor([0])
    options = {"steps": 1, "step": 1.0} if name == "pgd_nearest" else {}
    found = attack(name, Window(low, high).eval(), pixels, labels, epsilon=None, search_steps=16, **options)
    assert low < found.mean() < low + 1e-3


@both
def test_behind_the_dct_of_a_network_on_coefficients(name):
    torch.manual_seed(0)
    network = create_model("late_concat_rfa_thinner", num_classes=5, depth=18, width=0.125).eval()
    network = PixelClassifier(network).eval()
    pixels = pictures(n=3, side=32)
    labels = labels_of(network, pixels)
    found = attack(name, network, pixels, labels, epsilon=None, **({"steps": 5} if name == "pgd_nearest" else {}))
    changed = labels_of(network, found) != labels
    assert changed.any() and (moved(pixels, found)[~changed] == 0).all() and found.min() >= 0 and found.max() <= 1


def test_the_budgets_that_are_tried():
    assert budgets(1 / 32, 1.0, 8) == ([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 1 / 64, 1 / 128], 6)
    assert budgets(1 / 32, 0.02, 3) == ([0.02, 0.01, 0.005], 1)
    assert budgets(1.0, 1.0, 2) == ([1.0, 0.5], 1)
    assert budgets(0.5, 1.0, 1) == ([0.5], 2)


@both
def test_they_are_attacks_without_a_budget_of_their_own(name):
    assert ATTACKS[name].minimal and ATTACKS[name].norm == "linf"
    shared = {"search_steps": 10, "largest": 1 / 32}
    assert options_of(name) == shared | (
        {"steps": 20, "step": None, "random_start": False} if name == "pgd_nearest" else {}
    )


@pytest.mark.parametrize("name, options", [
    ("fgsm_nearest", {"search_steps": 0}), ("fgsm_nearest", {"largest": 0}), ("fgsm_nearest", {"largest": 1.5}),
    ("fgsm_nearest", {"steps": 3}), ("pgd_nearest", {"steps": 0}), ("pgd_nearest", {"step": -1}),
    ("pgd_nearest", {"random_start": "no"}), ("pgd_nearest", {"search_steps": 2.5}),
])  # fmt: skip
def test_what_cannot_be_is_refused(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        attack(name, conv(), pictures(2), torch.tensor([0, 1]), epsilon=None, **options)
