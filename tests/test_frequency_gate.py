"""Learned selection: a gate closes what does not matter, and a hard one is a smaller network that computes the same."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dctnet.bands import bands_of
from dctnet.coefficients import Coefficients
from dctnet.models.gated import GatedResNet
from dctnet.models.jpeg_resnet import jpeg_resnet
from dctnet.nn import FrequencyGate
from dctnet.transforms import SelectBands

VARIANTS = ["upsampling", "upsampling_rfa", "downsampling", "late_concat", "late_concat_rfa",
            "late_concat_rfa_thinner"]  # fmt: skip


def planes(n: int = 3, seed: int = 0, dtype=torch.float32) -> Coefficients:
    generator = torch.Generator().manual_seed(seed)
    strength = 100 / (1 + torch.arange(64.0))[:, None, None]
    return Coefficients(
        *(torch.randn(n, 64, k, k, generator=generator).mul(strength).add(5).to(dtype) for k in (8, 4, 4))
    )


@pytest.mark.parametrize(("variant", "depth"), [*((variant, 18) for variant in VARIANTS), ("late_concat", 50)])
def test_a_hard_gate_is_a_smaller_network(variant, depth):
    """SelectBands and the sliced network give the logits of the gated one, for gates drawn at random."""
    torch.manual_seed(0)
    model = GatedResNet(variant, num_classes=7, depth=depth, width=0.125)
    for seed in range(2):
        model(planes(4, seed))  # statistics
    model.eval().requires_grad_(False)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            nn.init.normal_(norm.bias, std=0.3)
    model.gate.openness.uniform_()
    select, network = model.harden(threshold=0.7)
    chosen = [len(plane) for plane in select.bands]
    assert all(5 < count < 35 for count in chosen)
    for number in range(3):
        openness = model.gate.openness[64 * number : 64 * (number + 1)]
        assert select.bands[number] == tuple((openness > 0.7).nonzero().flatten().tolist())
    x = planes(5, seed=9)
    gated, small = model(x), network(select(x))
    assert float(gated.std()) > 1e-3
    torch.testing.assert_close(small, gated, rtol=1e-5, atol=1e-5)
    assert sum(p.numel() for p in network.parameters()) < sum(p.numel() for p in model.network.parameters())
    again = jpeg_resnet(variant, num_classes=7, depth=depth, width=0.125, bands=select.bands).eval()
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(select(x)), small)


def test_all_gates_open_is_the_network_without_a_gate():
    torch.manual_seed(0)
    model = GatedResNet("late_concat", num_classes=5, depth=18, width=0.125).eval()
    x = planes()
    whole = model.sliced(bands_of("all"))
    torch.testing.assert_close(
        whole(x), model.network(Coefficients(*(n(p) for n, p in zip(model.norms, x, strict=True))))
    )
    torch.testing.assert_close(model(x), whole(x))  # gates start open


MATTER = (("y", 9), ("cr", 2))


def made_task(n: int, generator: torch.Generator) -> tuple[Coefficients, torch.Tensor]:
    """Planes of noise; the label says which signs two bands have on average, all others tell nothing."""
    x = Coefficients(*(torch.randn(n, 64, k, k, generator=generator) for k in (4, 2, 2)))
    signs = torch.randint(2, (n, 2), generator=generator)
    for (name, band), sign in zip(MATTER, signs.T, strict=True):
        getattr(x, name)[:, band] += 2.0 * (2 * sign - 1)[:, None, None]
    return x, 2 * signs[:, 0] + signs[:, 1]


class Head(nn.Module):
    """A gate and a linear layer on the means of the bands."""

    def __init__(self):
        super().__init__()
        self.gate, self.linear = FrequencyGate(weight=0.02), nn.Linear(192, 4)

    def forward(self, x: Coefficients) -> torch.Tensor:
        return self.linear(torch.cat([plane.mean((2, 3)) for plane in self.gate(x)], 1))


def test_training_closes_the_bands_that_do_not_matter():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    head = Head()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(300):
        x, labels = made_task(64, generator)
        loss = F.cross_entropy(head(x), labels) + head.gate.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bands = head.gate.harden()
    assert bands.y == (9,) and bands.cr == (2,) and len(bands.cb) == 1  # a plane keeps one
    assert int((head.gate.openness > 0.5).sum()) == 2
    x, labels = made_task(1000, generator)
    head.eval()
    assert float((head(x).argmax(1) == labels).float().mean()) > 0.98


def test_gates_are_drawn_in_training_and_fixed_in_evaluation():
    torch.manual_seed(0)
    gate, x = FrequencyGate(weight=0.5, start=0.7), planes(400)
    probability = gate.gates(x)
    assert set(probability.unique().tolist()) == {0.0, 1.0}
    # P(open) is the softmax of the scores, whatever the temperature: 76,800 draws of 0.7, four deviations.
    assert float(probability.detach().mean()) == pytest.approx(0.7, abs=0.03)
    assert not torch.equal(probability, gate.gates(x))
    torch.manual_seed(1)
    once = gate.gates(x)
    torch.manual_seed(1)
    assert torch.equal(once, gate.gates(x))
    expected = float(gate.penalty().detach()) / 0.5
    assert expected == pytest.approx(0.7 * 192, rel=0.05)
    gate.penalty().backward()
    assert float(gate.scores.bias.grad[1::2].min()) > 0  # opening costs
    gate.eval()
    assert torch.equal(gate.gates(x), gate.gates(x))


def test_the_gradient_of_a_gate_is_straight_through():
    """d gate / d score is that of the softmax of the noisy scores over the temperature."""
    torch.manual_seed(0)
    gate = FrequencyGate(temperature=0.5)
    gate.scores.weight.data.zero_()
    x = planes(1)
    torch.manual_seed(3)
    gate.gates(x).sum().backward()
    torch.manual_seed(3)
    scores = gate.scores.bias.detach().view(1, 192, 2).requires_grad_()
    F.gumbel_softmax(scores, 0.5)[..., 1].sum().backward()
    torch.testing.assert_close(gate.scores.bias.grad, scores.grad.flatten())


def test_a_hard_gate_is_kept_in_a_checkpoint_and_copies_are_made_at_any_time():
    torch.manual_seed(0)
    model = GatedResNet("upsampling", num_classes=3, depth=18, width=0.125)
    model(planes())
    copy.deepcopy(model)  # as the moving average does, with a step under way
    assert float(model.penalty().detach()) > 0
    select, _ = model.harden(count=40)
    assert float(model.penalty()) == 0
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = GatedResNet("upsampling", num_classes=3, depth=18, width=0.125)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.gate.bands == select.bands
    assert sum(map(len, select.bands)) == 40
    assert torch.equal(other.eval()(planes()), model.eval()(planes()))
    assert "hard=" in repr(other.gate)


def test_networks_read_selected_bands():
    for bands in (24, "zigzag-10", ("square-3", [0], [0, 1])):
        model = jpeg_resnet("late_concat", num_classes=3, depth=18, width=0.125, bands=bands).eval()
        assert model(SelectBands(bands)(planes())).shape == (3, 3)
        with pytest.raises(ValueError, match="selected bands of Y; got 64 channels"):
            model(planes())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FrequencyGate(weight=-1), "weight is a finite number at least 0; got -1"),
        (lambda: FrequencyGate(weight=math.inf), "weight is a finite number at least 0; got inf"),
        (lambda: FrequencyGate(temperature=0), "temperature is a finite number greater than 0; got 0"),
        (lambda: FrequencyGate(temperature=math.inf), "got inf"),
        (lambda: FrequencyGate(hidden=4.5), "hidden is a whole number at least 1; got 4.5"),
        (lambda: FrequencyGate(hidden="a"), "got 'a'"),
        (lambda: FrequencyGate(start=1), "start is a number in .*; got 1"),
        (lambda: FrequencyGate(momentum=0), r"momentum is a number in \(0, 1\]; got 0"),
        (lambda: FrequencyGate().harden(threshold=2), r"threshold is a number in \[0, 1\]; got 2"),
        (lambda: FrequencyGate().harden(threshold="a"), "got 'a'"),
        (lambda: FrequencyGate().harden(count=2), r"count is a whole number in \[3, 192\]; got 2"),
        (lambda: FrequencyGate()(SelectBands(24)(planes())), "block size 8"),
        (lambda: GatedResNet("late_concat", depth=18, block_size=4), "blocks of 8"),
        (lambda: GatedResNet("deconvolution_rfa", depth=18), "once more after the gate"),
        (lambda: jpeg_resnet("late_concat", depth=18, block_size=4, bands=24), "blocks of 8"),
        (
            lambda: jpeg_resnet("deconvolution_rfa", depth=18, bands=("all", [0], [0, 1])),
            "as many bands each; got 1 and 2",
        ),
    ],
)
def test_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
