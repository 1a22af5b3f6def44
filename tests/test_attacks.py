"""Attacks against closed forms on linear networks, and against their budgets on others."""

import ast
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from dctnet.robustness import attacks
from dctnet.robustness.attacks import ATTACKS, attack, options_of
from dctnet.robustness.budget import EPSILON, lengths, within
from dctnet.robustness.packages import load_autoattack, load_foolbox

QUICK = {
    "cw": {"steps": 30, "search_steps": 2},
    "cw_l2": {"steps": 30},
    "pgd": {"steps": 5},
    "pgd_l2": {"steps": 5, "restarts": 2},
    "square": {"queries": 20},
    "square_l2": {"queries": 20},
    "pgd_bands": {"bands": "square-3", "steps": 5},
    "pgd_bands_l2": {"radii": (0.0, 0.3), "steps": 5},
    "gaussian": {"repeats": 3},
}


class Linear(nn.Module):
    """Logits (-m / 2, m / 2) of the margin m = w . x + b, in float64; the nearest point of the other class is |m| / |w| away."""

    def __init__(self, size=(3, 4, 4), seed=11, scale=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(scale * torch.randn(size, generator=generator, dtype=torch.float64))
        self.bias = nn.Parameter(-self.weight.detach().sum() / 2)  # the middle gray lies on the boundary

    def margin(self, pixels):
        return (pixels * self.weight).flatten(1).sum(1) + self.bias

    def forward(self, pixels):
        m = self.margin(pixels) / 2
        return torch.stack([-m, m], 1)


def grays(n=6, size=(3, 4, 4), spread=0.05, seed=1):
    """Pictures near the middle gray, where no attack meets the ends of [0, 1]."""
    return 0.5 + spread * torch.randn(n, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(n=6, side=16, seed=2):
    """With black and white in them."""
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed)).mul(0.4).add(0.5).clamp(0, 1)


def conv(classes=10, seed=0, gain=10.0):
    """A small network of several kinds of layers, that reads RGB pixels; none of its classes has an advantage."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, classes),
    ).eval()  # fmt: skip
    with torch.no_grad():
        made[-1].weight *= gain
        made[-1].bias -= made(pictures(20)).mean(0)
    return made


def labels_of(network, pixels):
    with torch.no_grad():
        return network(pixels).argmax(1)


def worst(network, pixels, labels):
    """The direction (n, ...) in which the margin turns against the label fastest."""
    sign = 1 - 2 * labels.to(pixels.dtype)
    return sign.view(-1, 1, 1, 1) * network.weight.detach()


def test_fgsm_is_a_step_along_the_sign_of_the_gradient():
    network, pixels = Linear().eval(), grays()
    labels = labels_of(network, pixels)
    for epsilon in (0.0, 2 / 255, 8 / 255):
        found = attack("fgsm", network, pixels, labels, epsilon=epsilon)
        torch.testing.assert_close(found, pixels + epsilon * worst(network, pixels, labels).sign(), rtol=0, atol=1e-12)
    along = worst(network, pixels, labels)
    found = attack("fgsm_l2", network, pixels, labels, epsilon=0.1)
    torch.testing.assert_close(found, pixels + 0.1 * along / network.weight.norm(), rtol=0, atol=1e-9)


def test_pgd_reaches_the_worst_point_of_the_ball():
    network, pixels = Linear().eval(), grays()
    labels = labels_of(network, pixels)
    along = worst(network, pixels, labels)
    found = attack("pgd", network, pixels, labels, epsilon=8 / 255, steps=20)
    torch.testing.assert_close(found, pixels + 8 / 255 * along.sign(), rtol=0, atol=1e-9)
    found = attack("pgd_l2", network, pixels, labels, epsilon=0.2, steps=40, step=0.25)
    reached = (network.margin(found) - network.margin(pixels)).abs()
    torch.testing.assert_close(reached, torch.full_like(reached, 0.2) * network.weight.norm(), rtol=1e-3, atol=0)


def test_pgd_at_the_ends_of_the_range_is_the_worst_point_of_ball_and_range():
    network, pixels = Linear().eval(), grays(spread=0.6).clamp(0, 1)
    labels = labels_of(network, pixels)
    best = (pixels + 0.1 * worst(network, pixels, labels).sign()).clamp(0, 1)  # a box in a box, value by value
    found = attack("pgd", network, pixels, labels, epsilon=0.1, steps=20)
    torch.testing.assert_close(found, best, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name, options, beyond", [
    ("deepfool", {}, 1e-3),
    ("cw", {"steps": 300, "search_steps": 9, "step": 0.005}, 0.005),
])  # fmt: skip
def test_the_nearest_picture_of_the_other_class_is_as_far_as_the_boundary(name, options, beyond):
    """DeepFool goes 2 % beyond it; C&W comes as near as its steps are long."""
    network, pixels = Linear().eval(), grays()
    labels = labels_of(network, pixels)
    distance = network.margin(pixels).abs() / network.weight.norm()
    found = attack(name, network, pixels, labels, epsilon=None, **options)
    assert (labels_of(network, found) != labels).all()
    moved = lengths(found - pixels, "l2")
    assert ((moved >= distance) & (moved <= 1.03 * distance + beyond)).all(), moved / distance


def test_deepfool_in_linf_is_as_far_as_its_dual_norm_says():
    network, pixels = Linear().eval(), grays()
    labels = labels_of(network, pixels)
    distance = network.margin(pixels).abs() / network.weight.abs().sum()
    moved = lengths(attack("deepfool_linf", network, pixels, labels, epsilon=None) - pixels, "linf")
    assert ((moved >= distance) & (moved <= 1.03 * distance + 1e-3)).all()


def test_the_nearest_picture_within_a_budget():
    """Those that are near enough are the same as without a budget; the others go as far as it allows."""
    network, pixels = Linear().eval(), grays()
    labels = labels_of(network, pixels)
    free = lengths(attack("deepfool", network, pixels, labels, epsilon=None) - pixels, "l2")
    epsilon = free.median().item()
    bound = lengths(attack("deepfool", network, pixels, labels, epsilon=epsilon) - pixels, "l2")
    torch.testing.assert_close(bound, free.clamp(max=epsilon))


def test_cw_gives_back_what_it_could_not_change():
    class Constant(nn.Module):
        def forward(self, pixels):
            return torch.tensor([[5.0, 0.0]]).repeat(len(pixels), 1) + 0 * pixels.sum((1, 2, 3))[:, None]

    pixels = pictures()
    found = attack("cw", Constant().eval(), pixels, torch.zeros(6, dtype=torch.int64), epsilon=None, **QUICK["cw"])
    assert torch.equal(found, pixels)


@pytest.mark.parametrize("name", [name for name in ATTACKS if "autoattack" not in name])
@pytest.mark.parametrize("scale", [1, 30])
def test_budgets_are_kept(name, scale):
    network, pixels = conv(), pictures()
    labels = labels_of(network, pixels)
    epsilon = scale * EPSILON["cifar10"][ATTACKS[name].norm]
    found = attack(name, network, pixels, labels, epsilon=epsilon, **QUICK.get(name, {}))
    assert found.shape == pixels.shape and found.dtype == pixels.dtype and not found.requires_grad
    assert found.min() >= 0 and found.max() <= 1
    assert lengths(found.double() - pixels.double(), ATTACKS[name].norm).max() <= epsilon + 1e-6
    assert not torch.equal(found, pixels)


@pytest.mark.parametrize("name", [name for name in ATTACKS if "autoattack" not in name])
def test_the_seed_decides_and_nothing_else_changes(name):
    network, pixels = conv(), pictures(n=3)
    labels = labels_of(network, pixels)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    epsilon = EPSILON["cifar10"][ATTACKS[name].norm]
    results = []
    for state, seed in ((1, 7), (2, 7)):
        torch.manual_seed(state)
        with torch.no_grad():  # as an evaluation may be
            results.append(attack(name, network, pixels, labels, epsilon=epsilon, seed=seed, **QUICK.get(name, {})))
        drawn = torch.rand(2)
        torch.manual_seed(state)
        assert torch.equal(drawn, torch.rand(2))
    assert torch.equal(*results)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name, epsilon", [("autoattack", 0.2), ("autoattack_l2", 4.0)])
@pytest.mark.parametrize("classes", [2, 3, 5, 12])
def test_autoattack_breaks_what_can_be_broken(name, epsilon, classes):
    network, pixels = conv(classes), pictures(n=4)
    labels = labels_of(network, pixels)
    tracer = sys.gettrace()
    found = attack(name, network, pixels, labels, epsilon=epsilon)
    assert sys.gettrace() is tracer
    assert (labels_of(network, found) != labels).all()
    assert lengths(found.double() - pixels.double(), ATTACKS[name].norm).max() <= epsilon + 1e-6
    assert torch.equal(found, attack(name, network, pixels, labels, epsilon=epsilon))


def test_autoattack_goes_on_to_its_last_attack_where_the_others_fail(monkeypatch):
    """On two classes, of which a linear network cannot be moved: APGD, FAB and Square all run."""
    package = load_autoattack()
    from pyautoattack.autopgd_base import APGDAttack
    from pyautoattack.fab_pt import FABAttack_PT

    ran = []
    for kind in (APGDAttack, FABAttack_PT, package.square.SquareAttack):

        def perturb(self, x, y, *rest, kind=kind):
            ran.append(kind.__name__)
            return x

        monkeypatch.setattr(kind, "perturb", perturb)
    network, pixels = conv(2), pictures(n=3)
    found = attack("autoattack", network, pixels, labels_of(network, pixels), epsilon=0.1)
    assert torch.equal(found, pixels) and ran == ["APGDAttack", "FABAttack_PT", "SquareAttack"]


def test_black_box_search_finds_what_a_network_without_gradients_hides():
    class Rounding(nn.Module):
        def forward(self, pixels):
            return Linear.forward(self.linear, (pixels * 16).round() / 16)

    network = Rounding()
    network.linear = Linear((3, 8, 8))
    pixels = grays(size=(3, 8, 8))
    labels = labels_of(network.eval(), pixels)
    network = network.float()
    pixels = pixels.float()
    by_gradient = attack("pgd", network, pixels, labels, epsilon=0.1)
    by_search = attack("square", network, pixels, labels, epsilon=0.1, queries=200)
    assert (labels_of(network, by_search) != labels).sum() > (labels_of(network, by_gradient) != labels).sum()


def test_restarts_keep_what_was_found():
    network, pixels = conv(), pictures(n=8)
    labels = labels_of(network, pixels)
    once, often = (
        (labels_of(network, attack("pgd", network, pixels, labels, epsilon=0.02, steps=3, restarts=k)) != labels)
        for k in (1, 4)
    )
    assert (often | ~once).all()


def test_pictures_with_gradients_that_are_no_numbers_come_back_as_they_were():
    class Root(nn.Module):
        def forward(self, pixels):
            total = (pixels - 0.5).flatten(1).sum(1).abs().sqrt()  # no slope at 0
            return torch.stack([total, 0.1 - total], 1)

    pixels = torch.full((2, 3, 4, 4), 0.5)
    pixels[1] += 0.1
    labels = torch.tensor([1, 0])
    with pytest.warns(UserWarning, match="1 of 2 pictures"):
        found = attack("fgsm_l2", Root().eval(), pixels, labels, epsilon=0.5)
    assert torch.equal(found[0], pixels[0]) and not torch.equal(found[1], pixels[1])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_nearest_within_is_a_projection(norm):
    generator = torch.Generator().manual_seed(0)
    pixels, far = (torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    near = within(pixels, far, 0.1, norm)
    assert lengths(near - pixels, norm).max() <= 0.1 + 1e-12
    torch.testing.assert_close(within(pixels, near, 0.1, norm), near)
    assert torch.equal(within(pixels, far, None, norm), far)
    assert torch.equal(within(pixels, pixels, 0.0, norm), pixels)


GOOD = {"network": conv(), "pixels": pictures(2), "labels": torch.tensor([0, 1]), "epsilon": 0.1}


@pytest.mark.parametrize("change, says", [
    ({"name": "bim"}, "'fgsm'"),
    ({"network": len}, "Module"),
    ({"network": conv().train()}, "network.eval"),
    ({"pixels": 255 * pictures(2)}, "Divide gray levels by 255"),
    ({"pixels": pictures(2)[0]}, "labels are the int64"),
    ({"pixels": pictures(2)[:, 0]}, "n, channels, height, width"),
    ({"pixels": pictures(2).to(torch.uint8)}, "floating-point"),
    ({"pixels": pictures(2) / 0}, "0, 1"),
    ({"pixels": pictures(2).half()}, r"float32 or float64; got torch.float16.*inputs.float\(\)"),
    ({"pixels": pictures(2).bfloat16()}, "float32 or float64; got torch.bfloat16"),
    ({"labels": torch.tensor([0])}, "labels"),
    ({"labels": torch.tensor([0.0, 1.0])}, "int64"),
    ({"epsilon": -1}, "epsilon"),
    ({"epsilon": None}, "needs a budget"),
    ({"steps": 0}, "steps"),
    ({"steps": 2.5}, "steps"),
    ({"step": 0}, "step"),
    ({"random_start": 1}, "random_start"),
    ({"iterations": 5}, "no option iterations; it has steps"),
    ({"norm": "l2"}, "no option norm"),
    ({"seed": -1}, "seed"),
    ({"name": "pgd_bands"}, "name the frequencies"),
    ({"name": "autoattack", "version": "fast"}, "standard"),
    ({"name": "square_l2", "pixels": pictures(2, side=4)}, "5 x 5"),
])  # fmt: skip
def test_what_cannot_be_is_refused(change, says):
    arguments = {"name": "pgd"} | GOOD | change
    with pytest.raises(ValueError, match=says):
        attack(arguments.pop("name"), **arguments)


def test_the_options_are_told():
    assert options_of("pgd") == {"steps": 40, "step": None, "random_start": True, "restarts": 1}
    assert set(options_of("cw")) == {"steps", "step", "search_steps", "initial_const", "confidence", "abort_early"}
    assert options_of("fgsm") == {}


@pytest.mark.parametrize("module, load", [("foolbox", load_foolbox), ("pyautoattack", load_autoattack)])
def test_a_missing_package_is_named(module, load, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"package {module}: pip install"):
        load()


def test_the_packages_are_not_imported_before_they_are_needed():
    """No module of the room imports them at its top."""
    for path in Path(attacks.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in getattr(node, "names", ())] + [getattr(node, "module", None) or ""]
            assert not {"foolbox", "eagerpy", "pyautoattack"} & {name.split(".")[0] for name in names}, path


@pytest.mark.parametrize("name", ["square", "square_l2", "autoattack"])
def test_packages_of_float32_take_networks_and_pictures_of_float64(name):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).double().eval()
    pixels = pictures(4, side=8).double()
    epsilon, options = (0.1, {}) if name == "autoattack" else (3.0 if name == "square_l2" else 0.1, {"queries": 100})
    found = attack(name, network, pixels, labels_of(network, pixels), epsilon=epsilon, **options)
    assert found.dtype == torch.float64 and not torch.equal(found, pixels)
    change = (found - pixels).flatten(1)
    assert (change.norm(dim=1) if name == "square_l2" else change.abs().amax(1)).max() <= epsilon + 1e-6


@pytest.mark.parametrize("name", ["square_l2", "autoattack_l2"])
def test_what_divides_pictures_into_squares_says_so(name):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 16, 4)).eval()
    pixels, labels = torch.full((2, 3, 24, 16), 0.5), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=f"{name} divides square pictures.*24 x 16"):
        attack(name, network, pixels, labels, epsilon=0.5)
