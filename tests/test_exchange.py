"""The exchange between planes: its formula, who hears whom, and its gates."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dctnet.nn.exchange import EXCHANGES, PlaneExchange
from dctnet.nn.grids import KINDS, grow, shrink

CHANNELS, FACTORS = (4, 3, 5), (2, 1)


def maps(requires_grad=False):
    generator = torch.Generator().manual_seed(0)
    sides = (16, 8, 8)
    made = [torch.rand(2, c, s, s, generator=generator) for c, s in zip(CHANNELS, sides, strict=True)]
    return [x.requires_grad_(requires_grad) for x in made]


def layer(kind, **options):
    torch.manual_seed(0)
    return PlaneExchange(CHANNELS, FACTORS, kind, **options)


@pytest.mark.parametrize("pooling", KINDS)
def test_both_ways_is_the_formula(pooling):
    exchange = layer("both", pooling=pooling).eval()
    x = maps()
    W, V = ([message.project for message in messages] for messages in (exchange.down, exchange.up))
    expected = [
        x[0] + grow(pooling, 2)(V[0](x[1])),
        x[1] + W[0](shrink(pooling, 2)(x[0])) + V[1](x[2]),
        x[2] + W[1](x[1]),
    ]
    for y, truth in zip(exchange(x), expected, strict=True):
        torch.testing.assert_close(y, F.relu(truth))


@pytest.mark.parametrize("kind", EXCHANGES)
def test_who_hears_whom(kind):
    down, up = kind in ("luma_to_chroma", "both", "gated"), kind in ("chroma_to_luma", "both", "gated")
    for reader in range(3):
        x = maps(requires_grad=True)
        layer(kind)(x)[reader].square().sum().backward()
        heard = [i for i in range(3) if x[i].grad is not None and x[i].grad.abs().max() > 0]
        assert heard == [i for i in range(3) if i == reader or (down and i == reader - 1) or (up and i == reader + 1)]


def test_no_exchange_is_the_identity_and_so_is_one_that_starts_at_zero():
    x = maps()
    for exchange in (layer("none"), layer("both", zero_init=True), layer("gated", zero_init=True)):
        for before, after in zip(x, exchange(x), strict=True):
            torch.testing.assert_close(before, after)


def test_an_open_gate_is_no_gate_and_a_closed_one_no_exchange():
    gated, both, x = layer("gated").eval(), layer("both").eval(), maps()
    both.load_state_dict({key: value for key, value in gated.state_dict().items() if "gate" not in key})
    for openness, same in ((100.0, both(x)), (-100.0, x)):
        for message in [*gated.down, *gated.up]:
            nn.init.constant_(message.gate.bias, openness)
        for y, truth in zip(gated(x), same, strict=True):
            torch.testing.assert_close(y, truth)


def test_gates_look_at_the_means_of_both():
    gated = layer("gated").eval()
    x = maps()
    message = gated.down[0]
    means = torch.cat([x[0].mean((2, 3)), x[1].mean((2, 3))], 1)
    gates = 1 / (1 + torch.exp(-(means @ message.gate.weight.T + message.gate.bias)))
    expected = message.project(F.avg_pool2d(x[0], 2)) * gates[:, :, None, None]
    torch.testing.assert_close(message(x[0], x[1]), expected)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="exchange is one of 'none', 'luma_to_chroma'"):
        layer("all")
    with pytest.raises(ValueError, match="3 grids have 2 factors between them"):
        PlaneExchange(CHANNELS, (2,))
    with pytest.raises(
        ValueError, match=r"3 grids, each finer than the next by \(2, 1\); got maps of \[\(16, 16\), \(8, 8\)\]"
    ):
        layer("both")(maps()[:2])
    with pytest.raises(ValueError, match="each finer than the next"):
        layer("none")([torch.zeros(1, c, 8, 8) for c in CHANNELS])
