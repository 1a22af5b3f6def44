"""The list of checks: an honest network passes, each kind of false robustness is caught, and the right attack passes again."""

import pytest
import torch
from torch import nn

from dctnet.robustness.adaptive import bpda, expectation
from dctnet.robustness.attacks import attack
from dctnet.robustness.checks import (
    CHECKS,
    Report,
    check_defence,
    check_direction,
    check_iterations,
    check_randomness,
)
from dctnet.robustness.defence import Check, Defence, right
from dctnet.robustness.random_draws import compare_draws, is_random, loss_gradients
from tests.test_adaptive import Noise, Round
from tests.test_attacks import conv, labels_of

N, SIDE, CLASSES, EPSILON = 24, 8, 4, 0.06


class Templates(nn.Module):
    """Logits by the distance to one picture a class: an honest network, which is linear but for the softmax."""

    def __init__(self, scale=0.3):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.templates = nn.Parameter(torch.rand(CLASSES, 3, SIDE, SIDE, generator=generator))
        self.scale = scale

    def forward(self, pixels):
        return -self.scale * (pixels[:, None] - self.templates).square().flatten(2).sum(2)


def data():
    """Pictures between the templates, on the side of their class by a margin that EPSILON just overcomes."""
    generator = torch.Generator().manual_seed(1)
    templates = Templates().templates.detach()
    labels = torch.arange(N) % CLASSES
    share = 0.53 + 0.12 * torch.rand(N, 1, 1, 1, generator=generator)
    pixels = share * templates[labels] + (1 - share) * templates[(labels + 1) % CLASSES]
    return pixels, labels


def checked(network, attacked=None, **options):
    pixels, labels = data()
    options = {"epsilon": EPSILON, "steps": (1, 5, 20), "unbounded_steps": 40, "queries": 150} | options
    report = check_defence(network.eval(), pixels, labels, attacked=attacked, **options)
    assert str(report).count("passed") >= 1
    return report, {check.name for check in report.checks if not check.passed}


@pytest.mark.parametrize("norm, epsilon", [("linf", EPSILON), ("l2", 0.6)])
def test_an_honest_network_passes(norm, epsilon):
    report, failed = checked(Templates(), norm=norm, epsilon=epsilon)
    assert not failed and report.passed and "all 7 checks passed" in str(report), str(report)
    assert tuple(check.name for check in report.checks) == CHECKS
    assert report.robust <= report.black_box <= report.clean
    assert (
        report.clean == 1 and 0 < report.robust < 0.6
    )  # of this network the margins are known: some hold, some do not


def test_an_honest_network_of_several_layers_passes():
    torch.manual_seed(0)
    network = conv(CLASSES)
    pixels = data()[0]
    report = check_defence(
        network, pixels, labels_of(network, pixels), epsilon=EPSILON, unbounded_steps=60, queries=200
    )
    assert report.passed, str(report)


def test_saturated_gradients_are_caught():
    """The softmax of logits times 10,000 is 0 or 1 in float32, and its gradient 0."""
    report, failed = checked(Templates(scale=5e4))
    assert failed >= {"gradients", "unbounded", "black box"}, str(report)
    assert report.robust == 1 and "MARKED" in str(report) and not report.passed
    # The same classes, attacked by the logits that were not multiplied.
    report, failed = checked(Templates(scale=5e4), attacked=Templates().eval())
    assert not failed, str(report)
    assert report.robust == pytest.approx(checked(Templates())[0].robust)


def test_a_rounding_channel_is_caught():
    network = nn.Sequential(Round(32), Templates())
    report, failed = checked(network)
    assert failed >= {"gradients", "unbounded", "black box"}, str(report)
    attacked = nn.Sequential(bpda(Round(32)), Templates()).eval()
    report, failed = checked(network, attacked)
    assert not failed and report.robust < 0.6, str(report)


def test_a_random_channel_is_caught():
    network = nn.Sequential(Noise(0.1), Templates())
    report, failed = checked(network, tolerance=0.1)
    assert failed == {"randomness"} and "the mean of 1.0 draws" in str(report), str(report)
    report, failed = checked(network, expectation(Templates().eval(), Noise(0.1), 8), tolerance=0.1)
    assert not failed, str(report)


class Waves(nn.Module):
    """Templates of which noise of 0.1 turns the gradient: its direction is one of many that change with the picture."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.honest = Templates()
        self.rates = nn.Parameter(8 * torch.randn(64, 3 * SIDE * SIDE, generator=generator) / (3 * SIDE * SIDE) ** 0.5)
        self.weights = nn.Parameter(0.15 * torch.randn(64, CLASSES, generator=generator))

    def forward(self, pixels):
        return self.honest(pixels) + (2 * pixels.flatten(1) @ self.rates.T).sin() @ self.weights


def randomness(network, attacked):
    pixels, labels = data()
    defence = Defence(network.eval(), attacked.eval(), pixels, labels, "linf", EPSILON, 0, 5, 0.02)
    return check_randomness(defence)


@pytest.mark.parametrize("samples, passes", [(1, False), (2, False), (8, True), (16, True)])
def test_an_expectation_is_over_draws_enough(samples, passes):
    network = nn.Sequential(Noise(0.1), Waves())
    check = randomness(network, expectation(Waves().eval(), Noise(0.1), samples))
    assert check.passed == passes, check
    found = compare_draws(network, expectation(Waves().eval(), Noise(0.1), samples).eval(), *data())
    assert found.averaged == pytest.approx(samples, rel=0.3) and found.bias < 0.5 and found.varies


def test_noise_that_hides_the_gradient_from_a_mean_over_eight_draws_is_caught():
    network = nn.Sequential(Noise(0.5), Waves())
    assert not randomness(network, expectation(Waves().eval(), Noise(0.5), 8)).passed


@pytest.mark.parametrize("attacked", [
    lambda: nn.Sequential(Noise(0.1), expectation(Waves().eval(), None, 16)),
    lambda: nn.Sequential(expectation(nn.Identity().eval(), None, 16), Noise(0.1), Waves()),
    lambda: nn.Sequential(Noise(0.1), Waves()),
    lambda: expectation(Waves().eval(), None, 16),
    lambda: expectation(Templates(0.6).eval(), Noise(0.1), 16),
], ids=["outside", "before", "none", "another mean", "another network"])  # fmt: skip
def test_an_expectation_of_something_else_is_caught(attacked):
    """The name of the module says nothing: what counts is whether the draws of the network are averaged."""
    check = randomness(nn.Sequential(Noise(0.1), Waves()), attacked())
    assert not check.passed, check


def test_a_mean_that_is_no_expectation_by_name_passes():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = Waves()

        def forward(self, pixels):
            many = (pixels.repeat(12, 1, 1, 1) + 0.1 * torch.randn(12 * len(pixels), *pixels.shape[1:])).clone()
            return self.network(many).view(12, len(pixels), -1).mean(0)

    assert randomness(nn.Sequential(Noise(0.1), Waves()), Own()).passed
    assert randomness(nn.Sequential(Noise(0.0), Waves()), Waves()).passed  # told to be random, but draws nothing


class HardLabel(nn.Module):
    """Logits of the class alone, so large that random search sees nothing else, and a small linear leak that has a gradient.

    What is far from all templates is of one class more, as noise is: whatever changes a picture enough loses it.
    """

    def __init__(self, leak, size=12.0):
        super().__init__()
        self.honest, self.size = Templates(), size
        generator = torch.Generator().manual_seed(4)
        self.leak = {
            "random": torch.randn(CLASSES + 1, 3 * SIDE * SIDE, generator=generator),
            "brightness": torch.arange(CLASSES + 1)[:, None].expand(-1, 3 * SIDE * SIDE) - 2.0,
        }[leak]

    def forward(self, pixels):
        near = self.honest(pixels)
        classes = torch.cat([near, near.new_full((len(near), 1), -10 * self.honest.scale)], 1).argmax(1)
        return self.size * nn.functional.one_hot(classes, CLASSES + 1) + 0.01 * pixels.flatten(1) @ self.leak.T


@pytest.mark.parametrize("leak", ["random", "brightness"])
@pytest.mark.parametrize("norm, epsilon", [("linf", EPSILON), ("l2", 0.6), ("linf", 0.4)])
def test_hard_labels_that_leak_a_gradient_are_caught(leak, norm, epsilon):
    """Changing everything along the leak loses pictures as noise does: it says nothing about the classes."""
    report, failed = checked(HardLabel(leak), norm=norm, epsilon=epsilon)
    assert failed == {"direction"}, str(report)  # the other checks have nothing to say
    assert report.robust == (0 if epsilon == 0.4 else 1)


def test_a_gradient_of_ripples_is_caught():
    """A term that is small and very steep: the gradient is all its own, and true, but not as far as a step goes."""

    class Ripples(Templates):
        def forward(self, pixels):
            generator = torch.Generator().manual_seed(5)
            along = torch.randn(3 * SIDE * SIDE, CLASSES, generator=generator)
            return super().forward(pixels) + 0.02 * (300 * pixels.flatten(1) @ along).sin()

    report, failed = checked(Ripples())
    assert report.robust == 1 and failed, str(report)


@pytest.mark.parametrize("norm, epsilon", [("linf", 0.001), ("linf", 0.3), ("l2", 0.02), ("l2", 4.0)])
def test_whether_a_gradient_leads_somewhere_is_seen_at_any_budget(norm, epsilon):
    """Where nothing is lost yet the size grows, where noise takes all it shrinks: an honest network passes."""
    network, (pixels, labels) = Templates().eval(), data()
    defence = Defence(network, network, pixels, labels, norm, epsilon, 0, 1, 0.02)
    found = defence.perturbed({"linf": "pgd", "l2": "pgd_l2"}[norm], steps=8)
    check = check_direction(defence, 1.0, found)
    assert check.passed, check


def test_an_attack_on_something_else_is_caught():
    """What the attacker differentiates has to do with the defence, or random search is better."""

    class Elsewhere(Templates):
        def forward(self, pixels):
            return super().forward(pixels.flip(2, 3))

    _, failed = checked(Templates(), attacked=Elsewhere().eval())
    assert failed >= {"unbounded", "black box"}


def test_a_network_that_gives_no_gradient_at_all_is_caught():
    class Cut(Templates):
        def forward(self, pixels):
            return super().forward(pixels.detach()) + 0 * pixels.sum()

    report, failed = checked(Cut())
    assert "gradients" in failed and f"{N} of {N} pictures have no gradient" in str(report)


def test_gradients_that_are_no_numbers_are_caught():
    class Broken(Templates):
        def forward(self, pixels):
            zero = (pixels - pixels.detach()).flatten(1).sum(1).abs().sqrt()  # its slope is 0 / 0
            return super().forward(pixels) + zero[:, None]

    _, failed = checked(Broken())
    assert {"gradients", "unbounded"} <= failed


def test_more_steps_that_are_weaker_are_caught():
    defence = type("Any", (), {"tolerance": 0.02})
    assert check_iterations(defence, {1: 0.5, 10: 0.3, 40: 0.31}).passed
    assert not check_iterations(defence, {1: 0.5, 10: 0.3, 40: 0.4}).passed


def test_a_gradient_that_points_the_wrong_way_is_caught_by_its_iterations():
    """Each step goes back: pictures that one step of the right length lost are right again after many."""

    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.first = Templates(), None

        def forward(self, pixels):
            if not pixels.requires_grad:
                return self.network(pixels)
            if self.first is None or self.first.shape != pixels.shape:
                self.first = pixels.detach()
            away = (pixels - self.first).detach().abs().sum() > 0
            turned = (
                2 * pixels.detach() - pixels if away else pixels
            )  # the first gradient is right, the later ones turned
            return self.network(turned)

    network = Templates().eval()
    pixels, labels = data()
    report = check_defence(
        network,
        pixels,
        labels,
        epsilon=EPSILON,
        attacked=Backwards().eval(),
        steps=(1, 20),
        unbounded_steps=20,
        queries=150,
    )
    assert "iterations" in {check.name for check in report.checks if not check.passed}, str(report)


def test_randomness_is_seen_without_being_told():
    class Quiet(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = torch.Generator().manual_seed(0)

        def forward(self, pixels):
            return pixels + 0.1 * torch.randn(pixels.shape, generator=self.generator)

    pixels, _ = data()
    assert is_random(nn.Sequential(Quiet(), Templates()), pixels) and is_random(
        nn.Sequential(nn.Dropout(), Templates()), pixels
    )
    assert not is_random(Templates(), pixels) and not is_random(nn.Sequential(Round(), Templates()), pixels)


def test_gradients_and_accuracies_are_those_of_torch():
    network, (pixels, labels) = Templates(), data()
    inputs = pixels.clone().requires_grad_()
    (expected,) = torch.autograd.grad(nn.functional.cross_entropy(network(inputs), labels, reduction="sum"), inputs)
    assert torch.equal(loss_gradients(network, pixels, labels), expected)
    assert right(network, pixels, labels).tolist() == (network(pixels).argmax(1) == labels).double().tolist()
    noisy = right(nn.Sequential(Noise(1.0), network), pixels, labels, draws=40)
    assert ((noisy * 40).round() == noisy * 40).all() and 0.3 < noisy.mean() < 0.95


def test_the_list_is_printed():
    checks = (Check("gradients", True, "all there", "x"), Check("unbounded", False, "31.0% right", "The attack fails."))
    text = str(Report(checks, 0.95, 0.4, 0.5, "0.03137 of linf")).splitlines()
    assert text[0] == "95.0% of the pictures are right, 40.0% within 0.03137 of linf"
    assert text[1].split() == ["passed", "gradients:", "all", "there"]
    assert text[2].split()[0] == "FAILED" and text[3].strip() == "The attack fails."
    assert text[4].startswith("MARKED: 1 of 2 checks failed (unbounded)") and len(text) == 5


@pytest.mark.parametrize("options, says", [
    ({"epsilon": 0}, "epsilon"),
    ({"norm": "l1"}, "norm"),
    ({"steps": (0, 3)}, "steps"),
    ({"steps": (3,)}, "two numbers"),
    ({"draws": 0, "attacked": None}, "draws"),
    ({"tolerance": 2}, "tolerance"),
    ({"queries": 0}, "queries"),
])  # fmt: skip
def test_what_cannot_be_is_refused(options, says):
    network = nn.Sequential(Noise(0.01), Templates()).eval()
    with pytest.raises(ValueError, match=says):
        check_defence(network, *data(), **({"epsilon": 0.1, "steps": (1, 2), "unbounded_steps": 1} | options))


class Cut(nn.Module):
    """Rounding through whole numbers, through which torch passes no gradient at all; or labels alone."""

    def __init__(self, how):
        super().__init__()
        self.inner, self.how = Templates(), how

    def forward(self, pixels):
        if self.how == "cast":
            return self.inner((pixels * 15).round().byte().to(pixels.dtype) / 15)
        return nn.functional.one_hot(self.inner(pixels).argmax(1), CLASSES).to(pixels.dtype)


@pytest.mark.parametrize("how", ["cast", "labels"])
def test_a_network_that_cuts_the_graph_is_caught(how):
    report, failed = checked(Cut(how))
    assert {"gradients", "unbounded"} <= failed and "24 of 24 pictures have no gradient" in str(report), str(report)
    pixels, labels = data()
    with pytest.raises(ValueError, match=r"none pass from the logits of this network to its pixels.*bpda.*square"):
        attack("pgd", Cut(how).eval(), pixels, labels, epsilon=EPSILON)
    found = attack("square", Cut("cast").eval(), pixels, labels, epsilon=0.3, queries=200)
    assert not torch.equal(found, pixels)
