"""The published multigrid networks: their counts, their layer written out, and how far a sample reaches in them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.multigrid import MultigridNet
from dctnet.models.zoo import create_model
from dctnet.nn.multigrid import MultigridBlock, MultigridConv
from tests.networks import pictures

# Parameters in M of Ke, Maire and Yu, CVPR 2017, on CIFAR-100 (100 classes), and depths.
PUBLISHED = {"r_mg_12": 20.555, "r_mg_22": 44.789, "r_mg_32": 69.023, "r_mg_42": 93.256}
DEPTHS = {f"mg_{n}": n for n in (6, 11, 16, 21)} | {f"r_mg_{n}": n for n in (12, 22, 32, 42)}
DEPTHS |= {f"pr_mg_{n}": n for n in (16, 30, 44)} | {"r_mg_34_imagenet": 34}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters(name):
    assert abs(parameters(create_model(name, num_classes=100)) / 1e6 - PUBLISHED[name]) < 0.001


def test_published_parameters_and_multiply_adds_on_imagenet():
    model = create_model("r_mg_34_imagenet")
    assert parameters(model) / 1e6 == pytest.approx(32.9, abs=0.05)
    assert multiply_adds(model) / 1e9 == pytest.approx(5.76, abs=0.005)


@pytest.mark.parametrize("name", DEPTHS)
def test_depth_counts_the_layers_along_the_coarsest_grid(name):
    """The convolutions that follow each other on the grid that is there from the start, and the classifier."""
    model = create_model(name, width=0.125)
    convolutions = [key for key, module in model.named_modules() if isinstance(module, MultigridConv)]
    assert len(convolutions) + (len(model.stems) > 0) + 1 == DEPTHS[name]


def grids_of(channels, side=8, n=2):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, c, side >> i, side >> i, generator=generator) for i, c in enumerate(channels)]


def pooled(x):
    return x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).amax((-1, -3))


def doubled(x):
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("relu", [True, False])
def test_a_layer_is_the_formula(relu):
    layer = MultigridConv((3, 2, 4), (5, 6, 7), (3, 3, 1), relu=relu).eval()
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1), module.running_var.uniform_(0.5, 2), nn.init.uniform_(module.weight)
    x = grids_of((3, 2, 4))
    seen = [
        torch.cat([x[0], doubled(x[1])], 1),
        torch.cat([pooled(x[0]), x[1], doubled(x[2])], 1),
        torch.cat([pooled(x[1]), x[2]], 1),
    ]
    for (convolution, norm), inputs, y in zip(layer.grids, seen, layer(x), strict=True):
        expected = F.conv2d(inputs, convolution.weight, convolution.bias, padding=convolution.kernel_size[0] // 2)
        expected = (expected - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
        expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
        torch.testing.assert_close(y, expected.relu() if relu else expected, rtol=1e-4, atol=1e-4)


def test_a_block_adds_its_input_filled_up_with_zeros():
    block = MultigridBlock((3, 2), (5, 2)).eval()
    x = grids_of((3, 2))
    made = block.residual(x)
    torch.testing.assert_close(block(x)[0], F.relu(made[0] + torch.cat([x[0], torch.zeros(2, 2, 8, 8)], 1)))
    torch.testing.assert_close(block(x)[1], F.relu(made[1] + x[1]))


def test_a_sample_reaches_across_as_many_samples_as_the_grids_allow():
    """One layer of three grids spreads to one coarser grid; three layers of 3x3 reach across 24 samples, plain ones across 7."""
    layers = [MultigridConv((1, 1, 1), (1, 1, 1), relu=False).eval() for _ in range(3)]
    for layer in layers:
        for convolution, _ in layer.grids:
            nn.init.constant_(convolution.weight, 1.0), nn.init.zeros_(convolution.bias)
    x = [torch.zeros(1, 1, 64 >> i, 64 >> i, requires_grad=i == 0) for i in range(3)]
    y = x
    for layer in layers:
        y = [grid - 0 for grid in layer(y)]
    y[0][0, 0, 32, 32].backward()
    rows = x[0].grad[0, 0].sum(1).nonzero()
    plain = 7
    assert rows.max() - rows.min() + 1 > plain
    assert rows.min() < 32 - plain // 2 or rows.max() > 32 + plain // 2


def test_pictures_come_in_at_three_resolutions():
    model = MultigridNet(1, num_classes=10, width=0.125, block_size=1)
    planes = pictures(1, side=64)
    pixels = model.frontend(planes)
    grids = model._pyramid(pixels)
    for i, grid in enumerate(grids):
        means = pixels.unflatten(-1, (-1, 2**i)).unflatten(-3, (-1, 2**i)).mean((-1, -3))
        torch.testing.assert_close(grid, means)


def test_a_progressive_network_starts_on_the_coarsest_grid():
    model = MultigridNet(1, progressive=True, num_classes=10, width=0.125).eval()
    coarse, two, three = model.stages[0]
    assert [len(phase[0].residual[0].grids) for phase in (coarse, two, three)] == [1, 2, 3]
    plain = MultigridNet(1, num_classes=10, width=0.125)
    more = sum(parameters(phase) for phase in (coarse, two, three)) - parameters(plain.stages[0])
    assert parameters(model) - parameters(plain) == more
    assert model(blank(32)).shape == (1, 10)


def test_grids_are_halved_and_the_last_two_joined():
    model = MultigridNet(1, num_classes=10, width=0.125).eval()
    sizes = []
    for stage in model.stages:
        stage[-1].register_forward_hook(lambda _, __, out: sizes.append([tuple(grid.shape[1:]) for grid in out]))
    model(blank(32))
    assert sizes == [
        [(8, 32, 32), (8, 16, 16), (8, 8, 8)],
        [(16, 16, 16), (8, 8, 8), (8, 4, 4)],
        [(32, 8, 8), (16, 4, 4), (8, 2, 2)],
        [(64, 4, 4), (32, 2, 2), (16, 1, 1)],
        [(64, 2, 2), (48, 1, 1)],
    ]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: MultigridConv((3, 2), (4,)), "its inputs, outputs and kernel; got 2, 1 and 1"),
        (lambda: MultigridConv((3,), (4,), 2), r"odd sides, at least 1; got \(2,\)"),
        (lambda: MultigridConv((3, 2), (4, 4))(grids_of((3,))), r"reads 2 grids.*got sizes \[\(8, 8\)\]"),
        (lambda: MultigridConv((3, 2), (4, 4))([torch.zeros(1, 3, 8, 8)] * 2), "each half of the one before"),
        (lambda: MultigridBlock((3, 4), (4, 2)), r"filled up, not cut; got channels \(3, 4\) before, \(4, 2\) after"),
        (lambda: create_model("r_mg_12", residual=False), "has no option residual"),
        (lambda: MultigridNet(0), "blocks is a whole number at least 1"),
        (lambda: MultigridNet((1, 2, 3)), "or four for ImageNet"),
        (lambda: create_model("r_mg_12", width=0.125)(blank(40)), "multiples of 32 pixels; got 40 x 40"),
    ],
)
def test_what_does_not_fit_is_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run()
