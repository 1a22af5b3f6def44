"""Winograd's convolution and layers against torch's own in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dctnet.nn import winograd
from dctnet.nn.convert import convert
from dctnet.nn.winograd import winograd_convolution, winograd_error
from dctnet.nn.winograd_layers import WinogradConv1d, WinogradConv2d

# map, filters, padding, groups
CASES = [
    ((2, 3, 9, 7), (4, 3, 3, 3), 1, 1),
    ((2, 4, 8, 8), (6, 2, 3, 3), (0, 2), 2),
    ((1, 4, 5, 11), (4, 1, 5, 2), (6, 0), 4),
    ((3, 2, 12, 6), (5, 2, 7, 4), "same", 1),
    ((1, 2, 6, 9), (3, 2, 1, 3), "valid", 1),
    ((1, 2, 3, 3), (3, 2, 3, 3), 0, 1),
    ((2, 3, 17), (4, 3, 5), 2, 1),
    ((2, 4, 8), (2, 2, 2), 0, 2),
    ((3, 9, 9), (2, 3, 3, 3), 1, 1),
    ((0, 3, 9, 9), (2, 3, 3, 3), 1, 1),
]
LAYERS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (3, 5), "padding": "same", "padding_mode": "reflect"},
    {"kernel_size": 2, "padding": (2, 1), "padding_mode": "circular", "groups": 4, "bias": False},
    {"kernel_size": (7, 1), "padding": (3, 0), "padding_mode": "replicate"},
]


def normal(*shape, dtype=torch.float64, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_(**options)


def torchs(x, w, bias, padding, groups):
    if padding == "same":  # torch warns of even filters
        before = [(taps - 1) // 2 for taps in w.shape[2:]]
        around = [(p, taps - 1 - p) for p, taps in zip(before, w.shape[2:], strict=True)]
        x, padding = F.pad(x, [zeros for pair in reversed(around) for zeros in pair]), 0
    return (F.conv1d if w.dim() == 3 else F.conv2d)(x, w, bias, 1, padding, 1, groups)


@pytest.fixture(params=[1, 1 << 21], ids=["picture by picture", "all at once"])
def chunk(request, monkeypatch):
    monkeypatch.setattr(winograd, "CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("tile", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("shape", "filters", "padding", "groups"), CASES)
def test_it_and_its_gradients_are_torchs(shape, filters, padding, groups, tile):
    operands = [normal(*size, seed=i) for i, size in enumerate((shape, filters, filters[:1]))]
    ours = winograd_convolution(*operands, padding=padding, groups=groups, tile=tile)
    theirs = torchs(*operands, padding, groups)
    # The rounding of float64 times what the largest of these tiles may add.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    g = normal(*theirs.shape, seed=3, requires_grad=False)
    for mine, true in zip(*(torch.autograd.grad(y, operands, g) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "filters", "padding", "groups"), [((2, 2, 5, 4), (2, 1, 3, 2), 1, 2), ((1, 2, 7), (2, 2, 3), 0, 1)]
)
def test_gradients_of_first_and_second_order(shape, filters, padding, groups):
    operands = [normal(*size, seed=i) for i, size in enumerate((shape, filters, filters[:1]))]

    def function(x, w, bias):
        return winograd_convolution(x, w, bias, padding=padding, groups=groups, tile=2)

    assert torch.autograd.gradcheck(function, operands)
    assert torch.autograd.gradgradcheck(function, operands)


def test_only_the_map_and_the_filters_are_saved():
    x, w, saved = normal(2, 8, 16, 16), normal(8, 8, 3, 3), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.data_ptr()) or t, lambda t: t):
        winograd_convolution(x, w, padding=1)
    assert saved == [x.data_ptr(), w.data_ptr()]


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_error_is_measured_and_grows_with_the_tile(kernel):
    x, w = (
        normal(*shape, dtype=torch.float32, requires_grad=False)
        for shape in ((4, 64, 24, 24), (16, 64, kernel, kernel))
    )
    true, errors = F.conv2d(x.double(), w.double()), []
    for tile in (2, 4, 8):
        errors.append(float((winograd_convolution(x, w, tile=tile) - true).abs().max() / true.abs().max()))
    assert errors == sorted(errors) and errors[0] < 1e-5
    reported = [winograd_error(tile, kernel) for tile in (2, 4, 8)]
    for error, report in zip(errors, reported, strict=True):
        assert error / 4 < report < 4 * error  # other numbers, the same distribution
    assert winograd_error(8, kernel, torch.float64) < 1e-10


@pytest.mark.parametrize("arguments", LAYERS, ids=str)
def test_layers_are_those_of_torch(arguments):
    torch.manual_seed(0)
    theirs, x = nn.Conv2d(4, 8, **arguments).double(), normal(2, 4, 11, 9)
    torch.manual_seed(0)
    ours = WinogradConv2d(4, 8, **arguments, tile=2).double()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-11)
    torch.testing.assert_close(ours(x[0]), theirs(x[0]), rtol=0, atol=1e-11)
    ours.load_state_dict(theirs.state_dict())
    for layer in (WinogradConv2d.from_conv(theirs, 6), ours.to_conv()):
        torch.testing.assert_close(layer(x), theirs(x), rtol=0, atol=1e-11)


def test_layers_of_one_dimension():
    torch.manual_seed(0)
    theirs, x = nn.Conv1d(4, 8, 5, padding=2, padding_mode="reflect", groups=2).double(), normal(2, 4, 21)
    ours = WinogradConv1d(4, 8, 5, padding=2, padding_mode="reflect", groups=2, tile=6).double()
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)
    assert "tile=6" in repr(ours) and type(ours.to_conv()) is nn.Conv1d


def test_channels_last_goes_through():
    x, w = normal(2, 4, 9, 9, dtype=torch.float32, requires_grad=False), normal(4, 4, 3, 3, dtype=torch.float32)
    last = x.to(memory_format=torch.channels_last)
    assert winograd_convolution(last, w).is_contiguous(memory_format=torch.channels_last)
    assert winograd_convolution(x, w).is_contiguous()
    torch.testing.assert_close(winograd_convolution(last, w), winograd_convolution(x, w))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_16_bits_are_rounded_once(kind):
    x, w = (normal(*shape, dtype=torch.float32).to(kind) for shape in ((2, 16, 12, 12), (8, 16, 3, 3)))
    ours = winograd_convolution(x, w, padding=1)
    assert ours.dtype == kind
    true = F.conv2d(x.double(), w.double(), padding=1)
    assert (ours.double() - true).abs().max() <= torch.finfo(kind).eps * true.abs().max()


def test_autocast_compile_and_export():
    torch.manual_seed(0)
    layer, x = WinogradConv2d(4, 6, 3, padding=1), normal(1, 4, 8, 8, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
        assert y.dtype == torch.bfloat16
        y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32 and x.grad.dtype == torch.float32
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), layer(x))


def test_networks_are_converted_and_back():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, (1, 5)), nn.Conv2d(8, 8, 3, dilation=2), nn.Conv2d(8, 8, 9, padding=4),
    ).eval()  # fmt: skip
    model[1].requires_grad_(False)
    x, plain = normal(1, 3, 32, 32, dtype=torch.float32), copy.deepcopy(model)
    weight = model[1].weight
    convert(model, "winograd", tile=2)
    assert [isinstance(layer, WinogradConv2d) for layer in model] == [False, True, False, False, True, False, False]
    assert model[1].weight is weight and not weight.requires_grad and not model[4].training and model[4].tile == 2
    torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-5)
    model.load_state_dict(plain.state_dict())
    convert(model, "plain")
    assert [type(layer) for layer in model] == [type(layer) for layer in plain]
    torch.testing.assert_close(model(x), plain(x))
    assert isinstance(convert(nn.Conv1d(2, 2, 3), "winograd"), WinogradConv1d)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WinogradConv2d(3, 4, 3, stride=2), r"for stride 1; got stride=\(2, 2\): take torch.nn.Conv2d"),
        (lambda: WinogradConv1d(3, 4, 3, dilation=2), r"for dilation 1; got dilation=\(2,\): take torch.nn.Conv1d"),
        (lambda: WinogradConv2d(3, 4, (3, 9)), r"1 to 7 taps an axis.*got \(3, 9\)"),
        (lambda: WinogradConv2d(3, 4, 3, tile=0), r"tile is a whole number in \[1, 8\]; got 0"),
        (lambda: winograd_convolution(torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 3, 3), stride=2), "for stride 1"),
        (lambda: winograd_convolution(torch.zeros(1, 3, 8, 8), torch.zeros(4, 2, 3, 3)), "read 2 channels"),
        (lambda: winograd_convolution(torch.zeros(1, 3, 2, 8), torch.zeros(4, 3, 3, 3)), "fits into the padded map"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
