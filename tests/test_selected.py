"""Frequency-selected networks against torchvision's bodies, and luma alone as an option of every network."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from dctnet.bands import BAND_SETS, bands_of
from dctnet.coefficients import Coefficients
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.zoo import create_model, list_models, options_of
from dctnet.transforms.frequency import SelectBands
from tests.networks import pictures, side_for, small

NAMES = ["selected_resnet50", "selected_mobilenet_v2"]
GATED = [f"gated_{name}" for name in NAMES]


def planes(n=3, seed=0, block_size=(8, 8), side=64, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    made = []
    for b, spacing in zip((block_size[0], block_size[1], block_size[1]), (1, 2, 2), strict=True):
        strength = 100 / (1 + torch.arange(float(b * b)))[:, None, None]
        grid = side // spacing // b
        made.append(torch.randn(n, b * b, grid, grid, generator=g).mul(strength).add(5).to(dtype))
    return Coefficients(*made)


@pytest.mark.parametrize("bands", [*BAND_SETS, "zigzag-5"])
def test_resnet50_is_torchvisions_without_its_stem(bands):
    """All weights of torchvision's stages fit, but those of the two convolutions that read the bands."""
    count = sum(map(len, bands_of(bands)))
    with torch.device("meta"):
        model, theirs = create_model("selected_resnet50", bands=bands), torchvision.models.resnet50()
    ours = {key: value.shape for key, value in model.body.state_dict().items()}
    for key, value in theirs.state_dict().items():
        if key.startswith(("conv1.", "bn1.")):
            assert key not in ours
        elif key in ("layer1.0.conv1.weight", "layer1.0.downsample.0.weight"):
            assert ours[key] == (value.shape[0], count, 1, 1)
        else:
            assert ours[key] == value.shape
    stem = 3 * 64 * 49 + 2 * 64
    assert parameters(model) == 25_557_032 - stem + (count - 64) * (64 + 256)
    # 224 px give torchvision's stages the grids that 448 px give these: its 4.09 G less the stem.
    whole = multiply_adds(create_model("rgb_resnet50"), 224)
    removed = 112**2 * 3 * 64 * 49
    assert multiply_adds(model, 448) == whole - removed + (count - 64) * (64 + 256) * 56**2


@pytest.mark.parametrize("bands", [*BAND_SETS, "zigzag-5"])
def test_mobilenet_v2_is_torchvisions_without_its_stem(bands):
    count = sum(map(len, bands_of(bands)))
    with torch.device("meta"):
        model, theirs = create_model("selected_mobilenet_v2", bands=bands), torchvision.models.mobilenet_v2()
    ours = {key: value.shape for key, value in model.body.state_dict().items()}
    for key, value in theirs.state_dict().items():
        room, number, rest = key.split(".", 2)
        if key.startswith("features.0."):
            continue
        key = f"features.{int(number) - 1}.{rest}" if room == "features" else key
        expected = [count if size == 32 and key.startswith("features.0.conv") else size for size in value.shape]
        assert list(ours.pop(key)) == expected
    assert not ours
    stem = 3 * 32 * 9 + 2 * 32
    assert parameters(model) == 3_504_872 - stem + (count - 32) * (9 + 2 + 16)
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        theirs.eval()(torch.zeros(1, 3, 224, 224))
    removed = 112**2 * 3 * 32 * 9
    expected = counter.get_total_flops() // 2 - removed + (count - 32) * (9 + 16) * 112**2
    assert multiply_adds(model, 896) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_body_reads_normalised_bands_on_the_grid_of_luma(name):
    """Against torchvision's own network, fed with what the formula says in float64."""
    model = small(name, bands=24).double()
    for seed in range(3):
        model(SelectBands(24)(planes(seed=seed, side=128, dtype=torch.float64)))
    model.eval()
    x = SelectBands(24)(planes(seed=9, side=128, dtype=torch.float64))
    chroma = [plane.repeat_interleave(2, 2).repeat_interleave(2, 3) for plane in (x.cb, x.cr)]
    stacked = torch.cat([x.y, *chroma], 1)
    mean, deviation = (v[:, None, None] for v in (model.norm.running_mean, (model.norm.running_var + 1e-5).sqrt()))
    seen = []
    model.body.register_forward_hook(lambda module, inputs, logits: seen.extend([*inputs, logits]))
    assert model(x) is seen[1]
    torch.testing.assert_close(seen[0], (stacked - mean) / deviation)


def test_torchvisions_weights_start_it():
    theirs = torchvision.models.resnet50(num_classes=7).eval()
    model = create_model("selected_resnet50", 7, bands=64).eval()
    weights = {key: value for key, value in theirs.state_dict().items() if not key.startswith(("conv1", "bn1"))}
    model.body.load_state_dict(weights, strict=True)  # 64 bands, as many as its stem has channels
    x = torch.randn(2, 64, 8, 8)
    pooled = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x)))).mean((2, 3))
    torch.testing.assert_close(model.body(x), theirs.fc(pooled), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", GATED)
def test_a_hard_gate_is_a_smaller_network(name):
    """SelectBands and the sliced network give the logits of the gated one, for gates drawn at random."""
    model = small(name)
    for seed in range(2):
        model(planes(4, seed))
    model.eval().requires_grad_(False)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            nn.init.normal_(norm.bias, std=0.5)
    model.gate.openness.uniform_()
    select, network = model.harden(threshold=0.7)
    x = planes(5, seed=9)
    gated, sliced = model(x), network(select(x))
    assert float(gated.std()) > 1e-3
    torch.testing.assert_close(sliced, gated, rtol=1e-4, atol=1e-5)
    assert parameters(network) < parameters(model.network)
    again = small(name.removeprefix("gated_"), bands=select.bands).eval()
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(select(x)), sliced)


@pytest.mark.parametrize("name", GATED)
def test_all_gates_open_is_the_network_without_a_gate(name):
    model = small(name).eval()
    x = planes()
    torch.testing.assert_close(model(x), model.sliced(bands_of("all"))(x))


@pytest.mark.parametrize("name", GATED)
def test_open_gates_cost_in_training(name):
    model = small(name, gate_weight=0.5)
    model(planes())
    assert float(model.penalty().detach()) == pytest.approx(0.5 * 0.9 * 192, rel=0.02)


@pytest.mark.parametrize("block_size", [1, 2, 4, 8, 16, 32, (2, 1), (4, 2), (8, 4), (16, 8), (32, 16)], ids=str)
@pytest.mark.parametrize(
    "name", [*NAMES, "downsampling", "deconvolution_rfa", "late_concat", "frozen_dct", "rgb_resnet18"]
)
def test_every_block_size_is_read(name, block_size):
    """Small blocks by the pixel networks are in test_models."""
    luma, chroma = block_size if isinstance(block_size, tuple) else (block_size,) * 2
    if luma != chroma and name in ("downsampling", "deconvolution_rfa"):
        with pytest.raises(ValueError, match="nothing is left to"):
            small(name, block_size=block_size)
        return
    model = small(name, block_size=block_size)
    x = planes(2, block_size=(luma, chroma), side=16 if luma == 1 else max(32, 4 * luma))
    logits = model(x)
    for index in range(3):
        changed = Coefficients(*(plane.flip(0) if i == index else plane for i, plane in enumerate(x)))
        assert not torch.allclose(model(changed), logits, rtol=1e-3)


LUMA = [name for name in list_models() if "planes" in options_of(name)]


@pytest.mark.parametrize("name", LUMA)
def test_luma_alone_ignores_chroma_and_costs_less(name):
    model, whole = small(name, planes="y"), small(name)
    x = pictures(side=side_for(name))
    logits = model.eval()(x)
    nothing = torch.full((0, 3, 1, 5), torch.nan)
    assert torch.equal(model(x._replace(cb=nothing, cr=nothing)), logits)  # its planes may be anything
    assert not torch.allclose(model(x._replace(y=x.y.flip(0))), logits, rtol=1e-3)
    pixels = hasattr(model, "frontend") and not hasattr(model, "transform")
    assert parameters(model) == parameters(whole) if pixels else parameters(model) < parameters(whole)
    assert multiply_adds(model, 64) <= multiply_adds(whole, 64)
    loss = F.cross_entropy(model.train()(x), torch.tensor([1, 2]))
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["rgb_resnet18", "learned_dct"])
def test_luma_alone_is_the_gray_picture_to_a_pixel_network(name):
    model, whole = small(name, planes="y").eval(), small(name).eval()
    x = planes(2)
    gray = x._replace(cb=torch.zeros_like(x.cb), cr=torch.zeros_like(x.cr))
    if name == "rgb_resnet18":
        whole.load_state_dict(model.state_dict())
        assert torch.equal(model(x), whole(gray))
    else:  # one set of filters sees what the first of three sees
        model.transform.weight.data = whole.transform.weight.data[:64]
        seen = {}
        for key, network in (("y", model), ("ycc", whole)):
            network.transform.register_forward_hook(lambda m, i, output, key=key: seen.update({key: output}))
            network(x)
        torch.testing.assert_close(seen["y"], seen["ycc"][:, :64])


def test_luma_alone_leaves_the_layers_of_luma():
    """The upsampling network of Y: its first layers read 64 channels in place of 192."""
    model = small("upsampling", planes="y", width=1.0).eval()
    x = planes(2)
    torch.testing.assert_close(model(x), model.fc(model.body(x.y).mean((2, 3))))
    assert model.body[0].num_features == 64
    late = small("late_concat", planes="y", block_size=(4, 4)).eval()
    y = planes(2, block_size=(4, 4)).y
    torch.testing.assert_close(late(Coefficients(y, y, y)), late.fc(late.body(late.luma(y)).mean((2, 3))))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("upsampling", {"planes": "rgb"}, r'planes is "ycc" \(Y, Cb and Cr\) or "y" \(luma alone\); got \'rgb\''),
        ("gated_late_concat", {"planes": "y"}, "gated_late_concat has no option planes; its options are depth"),
        ("rgb_resnet18", {"bands": 24}, "rgb_resnet18 has no option bands"),
        ("selected_resnet50", {"bands": 24, "block_size": 4}, "bands are selected from blocks of 8; got block_size"),
        ("selected_resnet50", {"block_size": (2, 8)}, "or half of it"),
        ("selected_mobilenet_v2", {"width": 0}, "width .* greater than 0; got 0"),
        ("gated_selected_resnet50", {"block_size": 4}, "gates choose bands of blocks of 8"),
    ],
)
def test_refused(name, options, says):
    with pytest.raises(ValueError, match=says):
        create_model(name, **options)


def test_planes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"2 times the chroma grid.*multiples of 16 pixels"):
        small("selected_resnet50")(blank(72))
    with pytest.raises(ValueError, match=r"reads a Y grid of each side a multiple of 2; got Y \(9, 9\) blocks"):
        small("late_concat", planes="y")(blank(72))
    with pytest.raises(ValueError, match="Y with 64 channels; got 16"):
        small("rgb_resnet18", planes="y")(blank(64, 4))
