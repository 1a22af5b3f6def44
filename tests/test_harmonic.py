"""HarmonicConv2d, OctaveConv2d and conversion against torch's own Conv2d and pools, and scipy's DCT."""

import copy

import pytest
import scipy.fft
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dctnet.models.cost import multiply_adds, parameters
from dctnet.models.zoo import create_model
from dctnet.nn.convert import convert
from dctnet.nn.harmonic import HarmonicConv2d, basis_pictures
from dctnet.nn.octave import OctaveConv2d
from dctnet.nn.pooling import DCTPool2d

ARGUMENTS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": "same", "dilation": 2, "padding_mode": "reflect"},
    {"kernel_size": (3, 5), "stride": (2, 1), "groups": 4, "bias": False},
    {"kernel_size": 2, "stride": 2, "padding": (1, 0), "padding_mode": "circular"},
    {"kernel_size": 1},
    {"kernel_size": 7, "padding": 3, "groups": 8},
]


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("use_bn", [False, True], ids=["plain", "bn"])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_at_full_level_it_is_torchs_convolution(arguments, use_bn):
    torch.manual_seed(0)
    theirs, x = nn.Conv2d(8, 16, **arguments).eval(), maps(2, 8, 13, 11)
    ours = HarmonicConv2d.from_conv(theirs, use_bn=use_bn)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    back = ours.to_conv()
    torch.testing.assert_close(back(x), theirs(x), rtol=1e-5, atol=1e-5)
    assert parameters(ours) == parameters(theirs)
    fresh = HarmonicConv2d(8, 16, **arguments, use_bn=use_bn)
    assert fresh(x).shape == theirs(x).shape and parameters(fresh) == parameters(theirs)


def test_gradients_are_those_of_the_convolution_in_another_basis():
    torch.manual_seed(0)
    theirs, x = nn.Conv2d(4, 6, 3, padding=1), maps(2, 4, 7, 8)
    ours, g = HarmonicConv2d.from_conv(theirs), maps(2, 6, 7, 8, seed=1)
    theirs(x).backward(g)
    ours(x).backward(g)
    spectrum = scipy.fft.dctn(theirs.weight.grad.numpy(), norm="ortho", axes=(2, 3)).reshape(6, 4, 9)
    torch.testing.assert_close(ours.mixing.grad, torch.from_numpy(spectrum), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


@pytest.mark.parametrize(("level", "bands"), [(1, 1), (2, 3), (3, 6), (4, 8), (5, 9)])
def test_levels_project_the_filters_on_the_bands_below(level, bands):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, bias=False)
    ours = HarmonicConv2d.from_conv(conv, level)
    spectrum = scipy.fft.dctn(conv.weight.detach().double().numpy(), norm="ortho", axes=(2, 3))
    for v in range(3):
        for u in range(3):
            spectrum[:, :, v, u] *= v + u < level
    truth = torch.from_numpy(scipy.fft.idctn(spectrum, norm="ortho", axes=(2, 3))).float()
    torch.testing.assert_close(ours.weight, truth, rtol=0, atol=1e-6)
    assert parameters(ours) * 9 == parameters(conv) * bands  # the fraction of the level
    assert ours.mixing.shape == (6, 4, bands)


def test_the_basis_is_orthonormal():
    pictures = basis_pictures((3, 5), 7).flatten(1)
    torch.testing.assert_close(pictures @ pictures.T, torch.eye(15, dtype=torch.float64))


def test_normalised_responses_are_the_formula_of_the_paper():
    torch.manual_seed(0)
    layer, x = HarmonicConv2d(4, 6, 3, padding=1, groups=2, level=3, use_bn=True).train(), maps(5, 4, 8, 8)
    pictures = basis_pictures((3, 3), 3).float()
    out = torch.zeros(5, 6, 8, 8)
    for o in range(6):
        for i in range(2):
            for k in range(6):
                response = F.conv2d(x[:, [o // 3 * 2 + i]], pictures[k][None, None], padding=1)
                response = (response - response.mean()) / (response.var(correction=0) + 1e-5).sqrt()
                out[:, [o]] += layer.mixing[o, i, k] * response
        out[:, o] += layer.bias[o]
    torch.testing.assert_close(layer(x), out, rtol=1e-4, atol=1e-4)
    for seed in range(3):
        layer(2 * maps(5, 4, 8, 8, seed=seed) + 1)  # moves the statistics
    layer.eval()
    torch.testing.assert_close(layer.to_conv()(x), layer(x), rtol=1e-4, atol=1e-5)
    assert set(layer.state_dict()) == {
        *(f"norm.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")),
        "mix.weight",
        "mix.bias",
    }


def test_fresh_layers_keep_the_variance_of_a_convolution():
    torch.manual_seed(0)
    x = maps(4, 64, 16, 16)
    reference = nn.Conv2d(64, 64, 3, bias=False)(x).var()
    for level in (2, 3, 5):
        assert HarmonicConv2d(64, 64, 3, bias=False, level=level)(x).var().item() == pytest.approx(
            reference.item(), rel=0.15
        )


class Layer(nn.Module):
    """A layer as a network on the luma plane, for counting."""

    block_size = (1, 1)

    def __init__(self, layer, channels):
        super().__init__()
        self.layer, self.channels = layer, channels

    def forward(self, coefficients):
        return self.layer(coefficients.y.expand(-1, self.channels, -1, -1))


@pytest.mark.parametrize("use_bn", [False, True], ids=["plain", "bn"])
def test_multiply_adds_are_counted(use_bn):
    layer = HarmonicConv2d(8, 16, 3, padding=1, level=3, use_bn=use_bn)
    counted = multiply_adds(Layer(layer, 8), 32, 1)
    per_pixel = 8 * 6 * 9 + 8 * 6 * 16 if use_bn else 8 * 9 * 16
    assert counted == 32 * 32 * per_pixel
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, 8, 32, 32))
    # The plain form's filters are composed once a call, whatever the size of the map.
    composing = 0 if use_bn else 8 * 16 * 6 * 9
    assert counter.get_total_flops() // 2 == counted + composing


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_octaves_have_the_parameters_of_a_convolution_and_the_cost_of_the_paper(alpha):
    layer = OctaveConv2d(16, 32, 3, alpha, alpha, padding=1)
    assert parameters(layer) == parameters(nn.Conv2d(16, 32, 3))
    counted = 0
    high, low = int(16 * (1 - alpha)), int(16 * alpha)
    given = [maps(1, c, side, side) for c, side in ((high, 16), (low, 8)) if c]
    with FlopCounterMode(display=False) as counter:
        layer(given[0] if len(given) == 1 else tuple(given))
    counted = counter.get_total_flops() // 2
    assert counted == 16 * 32 * 9 * 16 * 16 * (1 - 0.75 * alpha * (2 - alpha))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 12), (9, 7)], ids=str)
def test_octaves_are_the_formula(size, stride):
    torch.manual_seed(0)
    layer = OctaveConv2d(6, 8, 3, 0.5, 0.25, stride=stride, padding=1)
    half = tuple(-(-side // 2) for side in size)
    high, low = maps(2, 3, *size), maps(2, 3, *half, seed=1)
    w = {name: part.weight for name, part in layer.parts.items()}
    biases = layer.parts["high_to_high"].bias, layer.parts["high_to_low"].bias
    h, x = high, low
    if stride == 2:
        h, x = (F.avg_pool2d(t, 2, ceil_mode=True) for t in (high, low))
    up = F.conv2d(x, w["low_to_high"], padding=1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    new_high = F.conv2d(h, w["high_to_high"], biases[0], padding=1) + up[..., : h.shape[2], : h.shape[3]]
    down = F.avg_pool2d(h, 2, ceil_mode=True)
    new_low = F.conv2d(x, w["low_to_low"], padding=1) + F.conv2d(down, w["high_to_low"], biases[1], padding=1)
    ours = layer((high, low))
    torch.testing.assert_close(ours[0], new_high)
    torch.testing.assert_close(ours[1], new_low)


def test_octaves_without_low_channels_are_a_convolution_and_all_refuse_what_does_not_fit():
    torch.manual_seed(0)
    layer, x = OctaveConv2d(4, 6, 3, 0, 0, padding=1), maps(1, 4, 8, 8)
    part = layer.parts["high_to_high"]
    torch.testing.assert_close(layer(x), F.conv2d(x, part.weight, part.bias, padding=1))
    with pytest.raises(ValueError, match="reads 2 high and 2 low channels; got 4"):
        OctaveConv2d(4, 6, 3, padding=1)(x)
    with pytest.raises(ValueError, match="half the sides"):
        OctaveConv2d(4, 6, 3, padding=1)((x[:, :2], x[:, 2:]))
    for wrong in ({"alpha_in": 1.5}, {"stride": 3}, {"alpha_out": -0.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            OctaveConv2d(4, 6, 3, **wrong)


def test_networks_are_converted_and_back():
    torch.manual_seed(0)
    model, x = torchvision.models.resnet18(num_classes=10).eval(), maps(1, 3, 64, 64)
    logits, count = model(x), parameters(model)
    assert convert(model, "harmonic") is model
    kinds = [m for m in model.modules() if isinstance(m, HarmonicConv2d)]
    assert len(kinds) == 16 and not any(m.training for m in model.modules())
    torch.testing.assert_close(model(x), logits, rtol=1e-4, atol=1e-4)
    convert(model, "plain")
    assert not any(isinstance(m, HarmonicConv2d) for m in model.modules())
    torch.testing.assert_close(model(x), logits, rtol=1e-4, atol=1e-4)
    small = convert(copy.deepcopy(model), "harmonic", level=3)
    filters = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3))
    assert parameters(small) == count - filters // 3


def test_networks_of_the_house_are_converted_and_counted():
    model = create_model("late_concat", 10, depth=18, width=0.25)
    before = multiply_adds(model, 64)
    convert(model, "harmonic", level=2)
    assert multiply_adds(model, 64) == before  # the plain form costs what the convolution did


def test_a_shared_layer_stays_one_layer_and_single_layers_are_returned():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    model = convert(nn.Sequential(conv, nn.ReLU(), conv), "harmonic")
    assert model[0] is model[2]
    assert isinstance(convert(conv, "harmonic"), HarmonicConv2d)


POOLS = [
    (nn.MaxPool2d(2), False),
    (nn.MaxPool2d(3, 2, 1), True),
    (nn.MaxPool2d(2, ceil_mode=True), True),
    (nn.MaxPool2d(3, 2, ceil_mode=True), False),
    (nn.AvgPool2d(2), False),
    (nn.AvgPool2d(4), False),
    (nn.MaxPool2d((2, 4)), False),
    (nn.MaxPool2d(5, 4, 2), True),
]


@pytest.mark.parametrize(("pool", "ceil_mode"), POOLS, ids=lambda value: str(value))
def test_pools_are_exchanged_for_those_that_write_as_many_samples(pool, ceil_mode):
    ours = convert(pool, "dct_pool")
    assert isinstance(ours, DCTPool2d) and ours.ceil_mode == ceil_mode
    for side in range(4, 40):
        x = torch.zeros(1, 1, side, 41 - side if side < 38 else 7)
        assert ours(x).shape == pool(x).shape


@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(3, 2), nn.MaxPool2d(3), nn.AdaptiveAvgPool2d(1)])
def test_other_pools_are_left(pool):
    with pytest.raises(ValueError, match="no layer that 'dct_pool' would change"):
        convert(nn.Sequential(pool), "dct_pool")


def test_kinds_options_and_levels_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"kind is one of 'harmonic', .*; got 'winogard'"):
        convert(nn.Conv2d(1, 1, 3), "winogard")
    with pytest.raises(ValueError, match="harmonic has no option levels; its options are level, use_bn"):
        convert(nn.Conv2d(1, 1, 3), "harmonic", levels=3)
    for level in (0, 6, 2.5):
        with pytest.raises(ValueError, match="level is"):
            HarmonicConv2d(1, 1, 3, level=level)


def test_autocast_double_and_export():
    torch.manual_seed(0)
    layer, x = HarmonicConv2d(4, 6, 3, level=3), maps(1, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), layer(x))
    torch.testing.assert_close(copy.deepcopy(layer).double()(x.double()).float(), layer(x), rtol=1e-4, atol=1e-5)


def test_frozen_convolutions_stay_frozen():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)).requires_grad_(True)
    model[0].requires_grad_(False)
    for kind in ("harmonic", "plain"):
        model = convert(model, kind)
        assert [all(p.requires_grad for p in layer.parameters()) for layer in model] == [False, True]


def test_octaves_refuse_a_padding_that_leaves_the_grids_unequal():
    with pytest.raises(
        ValueError, match=r"padding is dilation \* \(kernel_size - 1\) / 2; got kernel_size=3, padding=0"
    ):
        OctaveConv2d(8, 8, 3)
