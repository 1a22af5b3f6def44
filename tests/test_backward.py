"""Ways to differentiate a channel: the values are the channel's, the gradients those of formulas."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import nn

from dctnet.robustness.attack_plan import NO_CHANNEL, ChannelSpec, Work, channel_spec, plan
from dctnet.robustness.attack_table import attack_lines, attack_table
from dctnet.robustness.backward import OWN, differentiated, ways
from dctnet.robustness.channels import CHANNELS, create_channel
from tests.test_defence_checks import Templates
from tests.test_evaluation import PGD, agrees, by_hand, evaluation

ALL = [(name, way) for name, kind in CHANNELS.items() if not kind.random for way in ways(kind)]


def pictures(seed=0, size=(2, 3, 11, 14)):
    return torch.rand(size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradient(module, pixels, along):
    pixels = pixels.clone().requires_grad_()
    (module(pixels) * along).sum().backward()
    return pixels.grad


@pytest.mark.parametrize("name, way", ALL)
def test_values_are_those_of_the_channel(name, way):
    channel, pixels = create_channel(name), pictures()
    module = differentiated(channel, way)
    assert torch.equal(module(pixels), channel(pixels))
    assert gradient(module, pixels, pictures(1)).abs().max() > 0
    if way == "identity":
        assert torch.equal(gradient(module, pixels, pictures(1)), pictures(1))
    if way == "gradient":
        assert module is channel


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_the_smooth_steps_have_the_slope_of_their_cubic(bits):
    """By differences of r + (x - r)^3, away from where r changes."""
    pixels, top = pictures(), 2**bits - 1
    levels = pixels * top
    near = (levels - levels.round()).abs() > 0.499

    def curve(x):
        return (levels.round() + (x - levels.round()) ** 3) / top

    slope = (curve(levels + 1e-5 * top) - curve(levels - 1e-5 * top)) / 2e-5
    found = gradient(differentiated(create_channel("depth", bits), "smooth"), pixels, torch.ones_like(pixels))
    torch.testing.assert_close(found[~near], slope[~near], rtol=0, atol=1e-6)
    assert (found - 1).abs().max() > 0.5  # it is not the identity's


def test_the_average_is_the_adjoint_of_a_uniform_filter():
    """<A x, v> = <x, A' v> with A that of SciPy, mirrored at the edges."""
    for window in (3, 5, 7):
        along, pixels = pictures(1), pictures()
        found = gradient(differentiated(create_channel("median", window), "average"), pixels, along)
        filtered = uniform_filter(pixels.numpy(), size=(1, 1, window, window), mode="reflect")
        assert float((found * pixels).sum()) == pytest.approx(float(np.sum(filtered * along.numpy())), rel=1e-9)


def test_smooth_jpeg_is_the_option_of_the_channel():
    pixels, along = pictures(size=(1, 3, 16, 24)), pictures(1, (1, 3, 16, 24))
    plain, cubic = (create_channel("jpeg", 60, subsampling="4:4:4", **o) for o in ({}, {"rounding": "smooth"}))
    assert torch.equal(gradient(differentiated(plain, "smooth"), pixels, along), gradient(cubic, pixels, along))
    assert not torch.equal(gradient(differentiated(plain), pixels, along), gradient(cubic, pixels, along))


@pytest.mark.parametrize("name", CHANNELS)
def test_the_default_is_the_first_way_and_others_are_refused(name):
    kind = CHANNELS[name]
    assert ways(kind)[0] == ("gradient" if kind.differentiable else "identity")
    assert channel_spec(name, None, {}, ways(kind)[0]) == channel_spec(name, None, {})
    for way in ways(kind)[1:]:
        assert channel_spec(name, None, {}, way).backward == way
    for wrong in ("average" if name != "median" else "smooth", 3):
        with pytest.raises(ValueError, match=f"how {name} is differentiated is one of"):
            channel_spec(name, None, {}, wrong)
        with pytest.raises(ValueError, match="backward is one of"):
            differentiated(create_channel(name), wrong)
    assert set(OWN) <= set(CHANNELS.values())


def test_it_decides_adaptive_rows_and_checks_and_is_in_their_keys_alone():
    network, measured = Templates().eval(), evaluation()
    plain = ChannelSpec("depth", 3.0, {})
    cubic = plain._replace(backward="smooth")
    for kind in ("clean", "oblivious", "adaptive", "checks"):
        attack = None if kind == "clean" else PGD
        keys = [measured.key(Work(kind, attack, channel)) for channel in (plain, cubic)]
        assert "backward" not in keys[0]
        assert keys[1] == (keys[0] | {"backward": "smooth"} if kind in ("adaptive", "checks") else keys[0])
    row = measured.row(Work("adaptive", PGD, cubic))
    known = nn.Sequential(differentiated(cubic.create(), "smooth"), network).eval()
    agrees(row, network, cubic.create(), by_hand(known, PGD))
    straight = measured.perturbed(Work("adaptive", PGD, plain))
    assert not torch.equal(straight, measured.perturbed(Work("adaptive", PGD, cubic)))


def test_the_table_has_a_line_for_each_way():
    measured = evaluation()
    plain = ChannelSpec("depth", 3.0, {})
    rows = {}
    for channel in (plain, plain._replace(backward="smooth")):
        for work in plan([PGD], [NO_CHANNEL, channel], adaptive=True):
            rows.setdefault(str(measured.key(work)), measured.row(work))
    lines = attack_lines(rows.values())
    assert [(line["channel"], line["backward"]) for line in lines] == [
        ("none", None),
        ("depth", None),
        ("depth", "smooth"),
    ]
    assert all(line["checks"]["passed"] == (line["mark"] in ("", "^")) for line in lines)
    table, _ = attack_table(rows.values(), "title")
    assert list(table.columns[2].cells)[1:] == ["depth 3", "depth 3, smooth backward"]


def test_a_way_that_does_less_than_another_is_marked():
    measured = evaluation()
    plain = ChannelSpec("depth", 3.0, {})
    rows = {}
    for channel in (plain, plain._replace(backward="smooth")):
        for work in plan([PGD], [NO_CHANNEL, channel], adaptive=True, checks=False):
            rows.setdefault(str(measured.key(work)), measured.row(work))
    left = {None: 0.2, "smooth": 0.1}
    for row in rows.values():
        if row["key"]["kind"] == "adaptive":
            row |= {"accuracy": left[row["key"].get("backward")], "linf": 0.03}
        elif row["key"]["kind"] == "oblivious":
            row["accuracy"] = 0.3
    marks = {(line["channel"], line["backward"]): line["mark"] for line in attack_lines(rows.values())}
    assert marks == {("none", None): "?", ("depth", None): "?^", ("depth", "smooth"): "?"}
