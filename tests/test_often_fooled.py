"""The nearest picture that fools a random network whenever it looks, on networks of which each chance is known."""

import math

import pytest
import torch
from torch import nn

from dctnet.robustness.adaptive import expectation
from dctnet.robustness.attacks import attack
from dctnet.robustness.budget import lengths
from dctnet.robustness.defence import right
from dctnet.robustness.often_fooled import FACTORS, LOOKS, Handicap, margins, often_fooled
from tests.test_adaptive import Noise
from tests.test_attacks import Linear, grays, labels_of

SIGMA, SIZE = 0.05, (3, 8, 8)
SHORT = {"steps": 6, "search_steps": 1, "step": 0.006, "initial_const": 5.0}  # to the boundary, and not beyond it
CW = {"steps": 60, "search_steps": 4, "step": 0.01, "initial_const": 0.1}


def case(n=12, samples=4, spread=0.06):
    """A linear network behind noise: the margin of one look is normal, of deviation SIGMA |w|."""
    network, pixels = Linear(SIZE).eval(), grays(n=n, size=SIZE, spread=spread)
    labels = labels_of(network, pixels)
    looked = nn.Sequential(Noise(SIGMA), network).eval()
    return network, looked, expectation(network, Noise(SIGMA), samples), pixels, labels


def deviations(network, pixels, labels):
    """The margin in units of that of one look: of z deviations, a look is right with the chance Phi(z)."""
    return (2 * labels - 1) * network.margin(pixels) / (SIGMA * network.weight.norm())


@pytest.mark.parametrize("name, options", [("cw", CW), ("deepfool", {"steps": 20})])
def test_fresh_looks_are_fooled_where_a_lucky_mean_was_not(name, options):
    network, looked, attacked, pixels, labels = case()
    lucky = attack(name, attacked, pixels, labels, epsilon=None, **options)
    found = often_fooled(name, attacked, looked, pixels, labels, epsilon=None, **options)
    before, after = (right(looked, one, labels, draws=60, seed=7).mean() for one in (lucky, found))
    assert before > 0.3 and after < 0.06, (before, after)
    # All of LOOKS are wrong where the chance is about 1 - 1/LOOKS: 1.5 deviations beyond the boundary, and not much more.
    z = deviations(network, found, labels)
    assert z.max() < -0.7 and -3.2 < z.median() < -1.2, z


def test_where_the_lead_is_too_much_it_does_what_the_attack_does_alone():
    """Steps so few and short that they reach the boundary and nothing beyond it."""
    network, looked, attacked, pixels, labels = case(n=8)
    ahead = Handicap(attacked, labels, torch.full((8,), 2 * SIGMA * network.weight.norm().item()))
    nothing = attack("cw", ahead, pixels, labels, epsilon=None, **SHORT)
    found = often_fooled("cw", attacked, looked, pixels, labels, epsilon=None, **SHORT)
    stuck = (nothing == pixels).flatten(1).all(1)
    alone = attack("cw", attacked, pixels, labels, epsilon=None, **SHORT)
    helped = stuck & ~(alone == pixels).flatten(1).all(1)
    assert helped.any() and (found != pixels).flatten(1).any(1)[helped].all()


def test_no_look_is_one_of_the_attack_or_of_the_evaluation():
    """From any seed the states of the generator that the attack, the looks and an evaluation begin with are different ones."""
    states = []

    class Watched(Noise):
        def forward(self, pixels):
            states.append(torch.initial_seed())
            return super().forward(pixels)

    network, _, _, pixels, labels = case(n=8)
    looked = nn.Sequential(Watched(SIGMA), network).eval()
    attacked = expectation(network, Watched(SIGMA), 4)
    often_fooled("cw", attacked, looked, pixels, labels, epsilon=None, seed=0, **SHORT)
    right(looked, pixels, labels, seed=0)
    assert len(set(states)) == 5 and states[-1] == 1 and 0 in states


@pytest.mark.parametrize("name, epsilon", [("cw", 0.12), ("deepfool_linf", 0.012)])
def test_the_budget_is_kept(name, epsilon):
    _, looked, attacked, pixels, labels = case(n=6)
    pixels = pixels.float()
    looked, attacked = (nn.Sequential(Double(), part).eval() for part in (looked, attacked))
    options = CW if name == "cw" else {"steps": 20}
    found = often_fooled(name, attacked, looked, pixels, labels, epsilon=epsilon, **options)
    norm = "l2" if name == "cw" else "linf"
    moved = lengths(found.double() - pixels.double(), norm)
    assert found.dtype == torch.float32 and moved.max() <= epsilon + 1e-6 and moved.max() > 0.9 * epsilon
    free = often_fooled(name, attacked, looked, pixels, labels, epsilon=None, **options)
    assert lengths(free - pixels, norm).max() > epsilon


class Double(nn.Module):
    def forward(self, pixels):
        return pixels.double()


def test_a_picture_that_no_look_sees_right_stays_where_it_is():
    network, looked, attacked, pixels, labels = case(n=4)
    far = pixels + 0.3 * network.weight.detach().sign() * (2 * labels - 1).view(-1, 1, 1, 1)
    far = far.clamp(0, 1)
    found = often_fooled("cw", attacked, looked, far, 1 - labels, epsilon=None, **CW)
    assert (found - far).abs().max() < 1e-4


def test_it_repeats_itself_and_leaves_the_generator_alone():
    _, looked, attacked, pixels, labels = case(n=3)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = often_fooled("cw", attacked, looked, pixels, labels, epsilon=None, seed=2, **CW)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(often_fooled("cw", attacked, looked, pixels, labels, epsilon=None, seed=2, **CW), first)


def test_the_lead_is_the_right_class_alone():
    logits = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    network = nn.Identity().eval()
    given = Handicap(network, torch.tensor([0, 2]), torch.tensor([0.5, 4.0]))
    assert given(logits).tolist() == [[1.5, 2.0, 3.0], [1.0, 2.0, 7.0]] and not given.training
    labels = torch.tensor([0, 2])
    assert (margins(given(logits), labels) - margins(logits, labels)).tolist() == [0.5, 4.0]


def test_the_settings_make_sense():
    assert list(FACTORS) == sorted(set(FACTORS)) and FACTORS[0] > 0 and 1.0 in FACTORS
    # A look that is right with the chance of 1.5 deviations is wrong LOOKS times of three tries once: nearer pictures are luck.
    assert 0.3 < (0.5 * (1 + math.erf(1.5 / 2**0.5))) ** LOOKS < 0.4


@pytest.mark.parametrize("change, says", [
    ({"labels": torch.zeros(3)}, "int64"),
    ({"epsilon": -1.0}, "epsilon"),
    ({"name": "pgd"}, "pgd needs a budget"),
    ({"nothing": 1}, "no option nothing"),
])  # fmt: skip
def test_what_cannot_be_is_refused(change, says):
    _, looked, attacked, pixels, labels = case(n=3)
    arguments = {"name": "cw", "pixels": pixels, "labels": labels, "epsilon": None} | change
    with pytest.raises(ValueError, match=says):
        often_fooled(
            arguments.pop("name"), attacked, looked, arguments.pop("pixels"), arguments.pop("labels"), **arguments
        )
