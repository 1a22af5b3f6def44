"""Whole networks with band-limited and spectral convolutions, and back."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import prune

from dctnet.models.cost import parameters
from dctnet.models.zoo import create_model
from dctnet.nn.band_limited import BandLimitedConv1d, BandLimitedConv2d, set_compression
from dctnet.nn.convert import convert
from dctnet.nn.spectral_conv import SpectralConv2d
from dctnet.nn.winograd_layers import WinogradConv2d


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, (3, 5), stride=2, groups=2, padding="valid", bias=False)),
        nn.Flatten(2),
        nn.Conv1d(8, 4, 7, padding=3, padding_mode="circular"),
    ).eval()


def resnet():
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=10).eval()


@pytest.mark.parametrize(("make", "side", "count"), [(small, 17, 3), (resnet, 64, 20)])
def test_band_limited_networks_are_the_network_at_compression_0(make, side, count):
    model, x = make(), torch.randn(2, 3, side, side)
    with torch.no_grad():
        truth, state, owned = model(x), copy.deepcopy(model.state_dict()), list(model.parameters())
        assert convert(model, "bandlimited") is model
        ours = [m for m in model.modules() if isinstance(m, (BandLimitedConv1d, BandLimitedConv2d))]
        assert len(ours) == count and not any(m.training for m in model.modules())
        assert all(a is b for a, b in zip(owned, model.parameters(), strict=True))
        assert (model(x) - truth).abs().max() <= 1e-4 * truth.abs().max()
        model.load_state_dict(state)
        assert list(model.state_dict()) == list(state)
        set_compression(model, 0.5)
        halved = model(x)
        assert (halved - truth).abs().max() > 1e-3 * truth.abs().max()
        set_compression(model, 0.0)
        assert (model(x) - truth).abs().max() <= 1e-4 * truth.abs().max()
        again = convert(make(), "bandlimited", compression=0.5)
        torch.testing.assert_close(again(x), halved)
        convert(model, "plain")
        assert not any(isinstance(m, (BandLimitedConv1d, BandLimitedConv2d)) for m in model.modules())
        torch.testing.assert_close(model(x), truth)
        assert all(a is b for a, b in zip(owned, model.parameters(), strict=True))


def test_a_band_limited_network_trains():
    model = convert(small().train(), "bandlimited", compression=0.5, mask="radial")
    x, goal = torch.randn(8, 3, 16, 16), torch.randn(8, 4, 42)
    optimiser, losses = torch.optim.Adam(model.parameters(), 0.01), []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (model(x) - goal).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.98 * losses[0]
    assert all(layer.mask == "radial" for layer in model.modules() if isinstance(layer, BandLimitedConv2d))


def test_layers_are_chosen_by_their_names():
    model = convert(resnet(), "bandlimited", compression={"layer1.0.conv1": 0.5, "conv1": 0.2}, energy=None)
    found = {n: m.compression for n, m in model.named_modules() if isinstance(m, BandLimitedConv2d)}
    assert found == {"layer1.0.conv1": 0.5, "conv1": 0.2}
    model = convert(resnet(), "harmonic", level={"layer2.0.conv2": 3, "layer2.1.conv1": 4})
    assert model.layer2[0].conv2.mixing.shape[2] == 6 and model.layer2[1].conv1.mixing.shape[2] == 8
    shared = nn.Conv2d(2, 2, 3, padding=1)
    model = convert(nn.Sequential(shared, nn.ReLU(), shared), "bandlimited", compression={"2": 0.5})
    assert model[0] is model[2] and model[0].compression == 0.5
    assert convert(shared, "bandlimited", compression={"": 0.25}).compression == 0.25


def test_a_part_of_the_network_stands_for_its_layers_and_a_longer_name_comes_first():
    rates = {"layer1": 0.5, "layer1.0.conv1": 0.2, "layer2": 0.25}
    model = convert(resnet(), "bandlimited", compression=rates, mask={"layer1": "radial"})
    found = {n: (m.compression, m.mask) for n, m in model.named_modules() if isinstance(m, BandLimitedConv2d)}
    assert found == {
        f"layer1.{block}.conv{k}": (0.2 if (block, k) == (0, 1) else 0.5, "radial") for block in (0, 1) for k in (1, 2)
    }
    set_compression(model, {"layer1.1": 0.75, "": 0.1})
    assert {n: m.compression for n, m in model.named_modules() if isinstance(m, BandLimitedConv2d)} == {
        name: 0.75 if name.startswith("layer1.1") else 0.1 for name in found
    }


def test_what_was_converted_is_converted_anew():
    model = resnet()
    weight = model.layer1[0].conv1.weight
    for kind, layer in (
        ("bandlimited", BandLimitedConv2d),
        ("winograd", WinogradConv2d),
        ("bandlimited", BandLimitedConv2d),
    ):
        convert(model, kind)
        assert type(model.layer1[0].conv1) is layer and model.layer1[0].conv1.weight is weight
    convert(model, "bandlimited", energy=0.5, mask="radial")
    assert (model.layer1[0].conv1.energy, model.layer1[0].conv1.mask) == (0.5, "radial")


def test_weights_that_are_computed_are_refused_and_the_model_stays():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), prune.l1_unstructured(nn.Conv2d(4, 4, 3), "weight", 0.5))
    with pytest.raises(ValueError, match=r"Conv2d\(4, 4.* computes its weight from others .*prune\.remove"):
        convert(model, "bandlimited")
    assert all(type(layer) is nn.Conv2d for layer in model)
    prune.remove(model[1], "weight")
    assert type(convert(model, "bandlimited")[1]) is BandLimitedConv2d


def test_spectral_layers_keep_what_is_frozen_of_a_convolution():
    layer = nn.Conv2d(2, 3, 3)
    layer.weight.requires_grad_(False)
    spectral = convert(nn.Sequential(layer), "spectral")[0]
    assert not spectral.mixing.requires_grad and spectral.bias.requires_grad
    back = spectral.to_conv()
    assert not back.weight.requires_grad and back.bias.requires_grad


def test_names_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"no layer 'layer1\.0\.conv3' is one .*close to it are: .*'layer1\.0\.conv"):
        convert(resnet(), "bandlimited", compression={"layer1.0.conv3": 0.5})
    with pytest.raises(ValueError, match="no layer 'bn1' is one that is changed: It takes each Conv1d and Conv2d"):
        convert(resnet(), "bandlimited", compression={"bn1": 0.5})
    with pytest.raises(ValueError, match="bandlimited has no option rate; its options are compression, energy, mask"):
        convert(resnet(), "bandlimited", rate=0.5)
    for wrong in (1.0, {"conv1": -1}):
        with pytest.raises(ValueError, match="compression is"):
            convert(resnet(), "bandlimited", compression=wrong)


def test_a_refused_conversion_leaves_the_model_as_it_was():
    model = resnet()
    with pytest.raises(ValueError, match="compression is"):
        convert(model, "bandlimited", compression={"conv1": 0.5, "layer1.0.conv1": 2})
    assert not any(isinstance(m, BandLimitedConv2d) for m in model.modules())


def test_networks_of_the_house_are_converted():
    model = create_model("late_concat", 10, depth=18, width=0.25).eval()
    state = list(model.state_dict())
    convert(model, "bandlimited", compression=0.3)
    assert list(model.state_dict()) == state


def test_spectral_networks_are_the_network():
    model, x = resnet(), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        truth, count = model(x), parameters(model)
        convert(model, "spectral")
        assert sum(isinstance(m, SpectralConv2d) for m in model.modules()) == 20 and parameters(model) == count
        torch.testing.assert_close(model(x), truth, rtol=1e-3, atol=1e-3)
        convert(model, "plain")
        assert not any(isinstance(m, SpectralConv2d) for m in model.modules())
        torch.testing.assert_close(model(x), truth, rtol=1e-3, atol=1e-3)


def test_frozen_convolutions_stay_frozen():
    model = small()
    model[0].requires_grad_(False)
    for kind in ("bandlimited", "plain", "spectral", "plain"):
        convert(model, kind)
        assert not any(p.requires_grad for p in model[0].parameters())
        assert all(p.requires_grad for p in model[1].parameters())


def test_band_limits_are_what_is_meant_where_no_kind_is_given():
    model = convert(nn.Sequential(nn.Conv2d(3, 4, 3)), compression=0.5)
    assert isinstance(model[0], BandLimitedConv2d) and model[0].compression == 0.5
