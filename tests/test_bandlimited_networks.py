"""Band-limited pixel networks: published parameter counts, torchvision's logits at compression 0, weights that go both ways."""

import pytest
import torch
import torchvision

from dctnet.models.bandlimited import STEMS
from dctnet.models.cost import parameters
from dctnet.models.rgb import rgb_resnet
from dctnet.models.zoo import create_model
from dctnet.nn.band_limited import BandLimitedConv2d, set_compression
from dctnet.nn.convert import convert
from tests.networks import pictures

NAMES = ("bandlimited_resnet18", "bandlimited_densenet121", "bandlimited_vgg16", "bandlimited_lenet")


@pytest.mark.parametrize(
    "name, options, count",
    [  # torchvision's tables; LeNet by hand: 6 * (75 + 1) + 16 * (150 + 1) + 120 * 401 + 84 * 121 + 10 * 85
        ("bandlimited_resnet18", {"stem": "imagenet"}, 11_689_512),
        ("bandlimited_densenet121", {"stem": "imagenet"}, 7_978_856),
        ("bandlimited_vgg16", {"stem": "imagenet"}, 138_365_992),
        ("bandlimited_lenet", {"num_classes": 10}, 62_006),
    ],
)
def test_parameters_are_the_published_ones(name, options, count):
    assert parameters(create_model(name, **options)) == count


@pytest.mark.parametrize(
    "name, reference", [("resnet18", "resnet18"), ("densenet121", "densenet121"), ("vgg16", "vgg16_bn")]
)
def test_torchvisions_weights_and_logits(name, reference):
    torch.manual_seed(0)
    reference = getattr(torchvision.models, reference)(num_classes=5).double().eval()
    model = create_model(f"bandlimited_{name}", num_classes=5, stem="imagenet", block_size=1).double().eval()
    model.model.load_state_dict(reference.state_dict())
    planes = pictures(1, 64).map(torch.Tensor.double)
    with torch.no_grad():
        torch.testing.assert_close(model(planes), reference(model.frontend(planes).double()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_convolution_is_band_limited_and_its_rate_can_be_changed(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, width=0.5, block_size=1, compression=0.5).eval()
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    assert layers and all(isinstance(layer, BandLimitedConv2d) and layer.compression == 0.5 for layer in layers)
    planes = pictures(1, 32)
    with torch.no_grad():
        half = model(planes)
        set_compression(model, 0.0)
        whole = model(planes)
        assert not torch.allclose(half, whole, rtol=1e-3)
        torch.testing.assert_close(convert(model, "plain")(planes), whole, rtol=1e-3, atol=1e-4)


def test_the_small_stem_is_that_of_the_pixel_network():
    torch.manual_seed(0)
    pixel = rgb_resnet(18, 7, block_size=2, width=0.25, stem="cifar").eval()
    model = create_model("bandlimited_resnet18", num_classes=7, block_size=2, width=0.25).eval()
    model.model.load_state_dict(pixel.resnet.state_dict())
    planes = pictures(2, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(planes), pixel(planes), rtol=1e-3, atol=1e-4)


def test_gray_pictures_and_rates_for_single_layers():
    model = create_model(
        "bandlimited_resnet18", num_classes=7, block_size=2, width=0.25, planes="y", compression={"conv1": 0.5}
    ).eval()
    assert model.model.conv1.compression == 0.5 and model.model.layer1[0].conv1.compression == 0
    planes = pictures(2, 32)
    with torch.no_grad():
        gray = model(planes)
        torch.testing.assert_close(model(planes._replace(cb=planes.cb + 50)), gray)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stem": "tiny"}, f"stem is one of {STEMS[0]!r}"),
        ({"compression": 1.0}, "compression"),
        ({"compression": 0.5, "energy": 0.9}, "one of compression, energy"),
        ({"compression": {"conv9": 0.5}}, "conv9"),
        ({"mask": "round"}, "mask is one of"),
        ({"width": 0}, "width"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("bandlimited_resnet18", num_classes=2, **options)
