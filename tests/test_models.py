"""The networks against published counts, torchvision's layers, and laws between networks that are the same function."""

import io

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.resnet import BasicBlock as TorchvisionBasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck

from dctnet.coefficients import Coefficients
from dctnet.dct import block_dct, block_idct
from dctnet.models.blocks import BasicBlock, Bottleneck
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.jpeg_resnet import jpeg_resnet
from dctnet.models.rgb import MEAN, STD, rgb_resnet
from dctnet.models.transform_resnet import TransformResNet
from dctnet.models.zoo import create_model
from dctnet.nn.convert import convert
from tests.networks import EVERY_NAME, pictures, side_for, small

# Parameters in M and multiply-adds in G of a forward pass at 224 px, ResNet-50 bodies (Gueguen et al., NeurIPS 2018).
PUBLISHED = {
    "upsampling": (25.29, 3.04),
    "upsampling_rfa": (28.31, 5.40),
    "deconvolution_rfa": (28.34, 5.40),
    "downsampling": (28.62, 3.00),
    "late_concat": (25.11, 2.96),
    "late_concat_rfa": (28.05, 5.25),
    "late_concat_rfa_thinner": (24.68, 2.89),
    "rgb_resnet50": (25.56, 4.09),  # torchvision's: stride on the 3x3
}
RGB = {"rgb_resnet18": 11_689_512, "rgb_resnet34": 21_797_672, "rgb_resnet50": 25_557_032}  # torchvision's
JPEG = [name for name in PUBLISHED if not name.startswith("rgb")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_and_multiply_adds(name):
    model = create_model(name)
    millions, giga = PUBLISHED[name]
    assert parameters(model) / 1e6 == pytest.approx(millions, rel=0.005)
    assert multiply_adds(model) / 1e9 == pytest.approx(giga, rel=0.02)


@pytest.mark.parametrize("name", RGB)
def test_rgb_networks_have_torchvisions_names_and_counts(name):
    model = create_model(name)
    assert parameters(model) == RGB[name]
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name.removeprefix("rgb_"))()
    shapes = {f"resnet.{key}": value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in model.state_dict().items()} == shapes


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_upsampling_is_the_pixel_resnet_without_its_first_two_stages(depth):
    def convolutions(*shapes):
        return sum(o * i * k * k + 2 * o for o, i, k in shapes)

    upsampling = jpeg_resnet("upsampling", depth=depth)
    resnet = rgb_resnet(depth).resnet
    removed = convolutions((64, 3, 7)) + parameters(resnet.layer1)
    inputs = 64 if depth < 50 else 256
    first, outputs = (9, 128) if depth < 50 else (1, 512)  # the first convolution of stage 3, and its projection
    widened = (192 - inputs) * (128 * first + outputs)
    assert parameters(upsampling) == parameters(resnet) - removed + widened + 2 * 192


@pytest.mark.parametrize("name", EVERY_NAME)
def test_multiply_adds_are_those_of_torchs_flop_counter(name):
    model = small(name)
    adds = multiply_adds(model, 64)
    if name.startswith("bandlimited"):  # counts as the direct convolutions in its place
        model = convert(model, "plain")
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model.to("meta").eval()(blank(64, 8, "meta"))
    frontend = 0
    if hasattr(model, "frontend"):  # fixed inverse DCTs (64 a sample), and colours of chroma (6 a sample)
        frontend = 64 * (64 * 64 + 2 * 32 * 32) + 6 * 32 * 32
    assert adds == counter.get_total_flops() // 2 - frontend


def test_chosen_bands_cost_less_in_the_first_layers_alone():
    """Of the upsampling network: a first 3x3 convolution of 192 channels less those not read, and its norm."""
    whole, chosen = (jpeg_resnet("upsampling", 10, 18, bands=bands) for bands in (None, 24))
    first, projection = 9 * 128, 128
    assert parameters(whole) - parameters(chosen) == (192 - 24) * (first + projection + 2)
    assert multiply_adds(whole, 64) - multiply_adds(chosen, 64) == (192 - 24) * 8 * 8 * (first + projection)


def test_counting_leaves_the_model_as_it_is():
    model = small("late_concat").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    multiply_adds(model, 64)
    assert model.training and not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def copy_in_order(source, target):
    """Give ``target`` the weights of ``source``, which holds the same layers in the same order."""
    values = list(source.state_dict().values())
    target.load_state_dict(dict(zip(target.state_dict(), values, strict=True)))


@pytest.mark.parametrize("stride", [1, 2])
def test_basic_block_is_torchvisions(stride):
    torch.manual_seed(0)
    shortcut = torch.nn.Sequential(torch.nn.Conv2d(16, 24, 1, stride, bias=False), torch.nn.BatchNorm2d(24))
    theirs = TorchvisionBasicBlock(16, 24, stride, shortcut)
    ours = BasicBlock(16, 24, stride=stride, project=True)
    copy_in_order(theirs, ours)
    x = torch.randn(2, 16, 9, 8)
    torch.testing.assert_close(ours(x), theirs(x))


def test_bottleneck_is_torchvisions_with_the_stride_on_the_first_convolution():
    torch.manual_seed(0)
    shortcut = torch.nn.Sequential(torch.nn.Conv2d(16, 32, 1, 2, bias=False), torch.nn.BatchNorm2d(32))
    theirs = TorchvisionBottleneck(16, 8, 2, shortcut)
    theirs.conv1.stride, theirs.conv2.stride = (2, 2), (1, 1)
    ours = Bottleneck(16, 8, 32, stride=2, project=True)
    copy_in_order(theirs, ours)
    x = torch.randn(2, 16, 9, 8)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("kernel", "before", "after"), [(1, 0, 0), (2, 0, 1), (3, 1, 1)])
def test_kernels_keep_the_grid_and_even_ones_look_right_and_down(kernel, before, after):
    torch.manual_seed(0)
    block = Bottleneck(8, 8, 8, kernel=kernel).eval()
    x = torch.randn(1, 8, 7, 6, requires_grad=True)
    y = block.residual(x)
    assert y.shape == x.shape
    y[0, :, 3, 2].sum().backward()
    rows, columns = x.grad.abs().sum((0, 1)).nonzero().unbind(1)
    assert rows.min() >= 3 - before and rows.max() <= 3 + after
    assert columns.min() >= 2 - before and columns.max() <= 2 + after
    assert len(rows) == kernel * kernel


def test_identity_blocks_refuse_to_change_channels():
    with pytest.raises(ValueError, match="16 -> 32 channels at stride 1"):
        BasicBlock(16, 32)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_gradients_reach_every_parameter_and_every_plane(name):
    model = small(name)
    planes = pictures(side=side_for(name)).map(lambda plane: plane.requires_grad_())
    loss = F.cross_entropy(model(planes), torch.tensor([3, 7]))
    loss.backward()
    for key, parameter in model.named_parameters():
        frozen = key == "transform.weight" and name.startswith("frozen")
        assert parameter.requires_grad != frozen, key
        if not frozen:
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, key
    assert all(plane.grad.abs().amax((0, 2, 3)).min() > 0 for plane in planes)  # every channel of each plane


@pytest.mark.parametrize("block_size", [1, 2, 4, 8, 16, (2, 1), (4, 2), (8, 4), (16, 8)], ids=str)
@pytest.mark.parametrize("name", ["upsampling", "late_concat_rfa_thinner", "learned_dct", "rgb_resnet18"])
def test_every_block_size_is_read(name, block_size):
    model = small(name, block_size=block_size).train()
    planes = pictures(block_size, side=32 if block_size == 1 else 64)
    assert model.block_size == (block_size if isinstance(block_size, tuple) else (block_size, block_size))
    logits = model(planes)
    assert torch.isfinite(logits).all()
    for index in range(3):  # and each plane matters
        changed = Coefficients(*(plane.flip(0) if i == index else plane for i, plane in enumerate(planes)))
        assert not torch.allclose(model(changed), logits, rtol=1e-3)


@pytest.mark.parametrize("name", ["upsampling", "late_concat"])
@pytest.mark.parametrize("width", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("depth", [18, 50])
def test_odd_widths_build_and_scale_the_parameters(name, width, depth):
    full, thin = (jpeg_resnet(name, 10, depth, width=w) for w in (1.0, width))
    assert parameters(thin) / parameters(full) == pytest.approx(width**2, rel=0.35)
    planes = pictures()
    assert not torch.allclose(thin(planes)[0], thin(planes)[1])


def reblocking(b: int) -> torch.Tensor:
    """Q (4bb, 4bb): coefficients of 2x2 blocks of b, gathered in channels as PixelUnshuffle does, from one block of 2b."""
    unit = torch.eye(4 * b * b, dtype=torch.float64)[:, :, None, None]
    small_blocks = block_dct(block_idct(unit), b)
    return F.pixel_unshuffle(small_blocks, 2)[:, :, 0, 0].T


@pytest.mark.parametrize("depth", [18, 50])
def test_late_concat_on_a_shared_grid_holds_the_network_on_two_grids(depth):
    """Block sizes (4, 2) and (4, 4): the first convolutions of the chroma stream can contain the re-blocking."""
    options = {"num_classes": 10, "depth": depth, "width": 0.125}
    torch.manual_seed(0)
    two = jpeg_resnet("late_concat", block_size=4, **options).double().eval()
    one = jpeg_resnet("late_concat", block_size=(4, 2), **options).double().eval()
    weights = two.state_dict()
    Q = torch.block_diag(reblocking(2), reblocking(2))
    for key, value in list(weights.items()):
        if key.startswith("chroma.0"):
            weights[key] = one.state_dict()[key]  # BatchNorms that have seen nothing yet: one factor for all channels
        elif key in ("chroma.1.residual.0.weight", "chroma.1.shortcut.0.weight"):
            weights[key.replace("chroma.1", "chroma.2")] = (value[:, :, 0, 0] @ Q.T)[:, :, None, None]
        elif key.startswith("chroma.1"):
            weights[key.replace("chroma.1", "chroma.2")] = value
    one.load_state_dict({key: weights[key] for key in one.state_dict()})

    y, cb, cr = pictures(4).to(torch.float64)
    chroma = [block_dct(block_idct(plane), 2) for plane in (cb, cr)]
    torch.testing.assert_close(one(Coefficients(y, *chroma)), two(Coefficients(y, cb, cr)), rtol=1e-9, atol=1e-9)


def test_upsampling_on_a_shared_grid_is_the_body_on_the_planes():
    model = small("upsampling", block_size=(8, 4)).eval()
    planes = pictures((8, 4))
    torch.testing.assert_close(model(planes), model.fc(model.body(torch.cat(planes, 1)).mean((2, 3))))


def test_frozen_dct_sees_the_coefficients_of_full_resolution_planes():
    model = small("frozen_dct").eval()
    planes = pictures(full_chroma=True)
    with torch.no_grad():
        seen = model.transform(model.frontend(planes))
        torch.testing.assert_close(seen, torch.cat(planes, 1), rtol=0, atol=1e-3)
        logits = model.fc(model.body(torch.cat(planes, 1)).mean((2, 3)))
        torch.testing.assert_close(model(planes), logits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["frozen_dct", "learned_dct", "rgb_resnet18"])
def test_pixel_networks_see_the_same_picture_at_every_block_size(name):
    of_eight, of_one = small(name).eval(), small(name, block_size=1).eval()
    of_one.load_state_dict(of_eight.state_dict())
    planes = pictures()
    pixels = planes.map(lambda plane: block_dct(block_idct(plane), 1))
    torch.testing.assert_close(of_one(pixels), of_eight(planes), rtol=1e-3, atol=1e-3)


def test_overlapping_frozen_dct_contains_the_blocks_of_the_plain_one():
    model = small("frozen_dct_x2")
    planes = pictures(side=224, n=1, full_chroma=True)
    seen = model.transform(model.frontend(planes))
    assert seen.shape == (1, 192, 55, 55)
    torch.testing.assert_close(seen[..., ::2, ::2], torch.cat(planes, 1), rtol=0, atol=1e-3)


def test_rgb_network_is_torchvisions_on_normalised_pixels():
    torch.manual_seed(0)
    model = rgb_resnet(18, num_classes=10, block_size=1).eval()
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    theirs.load_state_dict(model.resnet.state_dict())
    y, cb, cr = planes = pictures(1, full_chroma=True)
    rgb = torch.cat([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 1)
    x = torchvision.transforms.functional.normalize((rgb + 128) / 255, MEAN, STD)
    torch.testing.assert_close(model(planes), theirs(x), rtol=1e-4, atol=1e-4)


def test_rgb_network_of_another_width_is_built_like_torchvisions():
    thin = {key: value.shape for key, value in rgb_resnet(50, width=0.5).resnet.state_dict().items()}
    full = {key: value.shape for key, value in torchvision.models.resnet50().state_dict().items()}
    assert thin.keys() == full.keys()
    for key, shape in full.items():
        halved = [
            s if (key, i) in {("conv1.weight", 1), ("fc.weight", 0), ("fc.bias", 0)} else s // 2
            for i, s in enumerate(shape)
        ]
        expected = halved[:2] + list(shape[2:])
        assert list(thin[key]) == expected, key


def test_penalty_is_the_distance_from_orthonormal():
    model = small("orthonormal_dct", penalty_weight=0.3)
    assert model.penalty().item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        model.transform.weight.add_(0.1 * torch.randn(192, 1, 8, 8))
    W = model.transform.weight.detach().double().view(3, 64, 64)
    truth = 0.3 * sum(((w @ w.T - torch.eye(64)) ** 2).sum().item() for w in W)
    assert model.penalty().item() == pytest.approx(truth, rel=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.penalty().item() == pytest.approx(truth, rel=1e-5)
    before = model.penalty()
    (gradient,) = torch.autograd.grad(before, model.transform.weight)
    with torch.no_grad():
        model.transform.weight.sub_(0.1 * gradient)
    assert model.penalty() < 0.5 * before
    assert small("learned_dct").penalty() == 0


@pytest.mark.parametrize("name", ["late_concat", "rgb_resnet18"])
def test_zero_initialised_residuals_start_as_their_shortcuts(name):
    model = small(name, zero_init_residual=True)
    kinds = (Bottleneck, BasicBlock, TorchvisionBasicBlock)
    blocks = [module for module in model.modules() if isinstance(module, kinds)]
    assert blocks
    for block in blocks:
        channels = next(block.parameters()).shape[1]
        x = torch.randn(2, channels, 4, 4)
        shortcut = block.shortcut if hasattr(block, "shortcut") else block.downsample or torch.nn.Identity()
        torch.testing.assert_close(block(x), F.relu(shortcut(x)))


def test_convolutions_start_kaiming_normal_over_their_outputs():
    torch.manual_seed(0)
    weight = jpeg_resnet("upsampling", 10, depth=18).body[1].residual[0].weight
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_state_survives_a_file_and_one_seed_gives_one_network(name):
    model, again = small(name), small(name)
    planes = pictures(side=side_for(name))
    model(planes)  # moves the running statistics
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(model.eval()(planes), again.eval()(planes))


@pytest.mark.parametrize("name", ["late_concat_rfa", "deconvolution_rfa", "frozen_dct", "rgb_resnet18"])
def test_memory_format_integers_and_autocast_change_no_answer(name):
    model = small(name).train()
    planes = pictures(n=4).map(torch.round)
    logits = model(planes)
    torch.testing.assert_close(model(planes.to(torch.int16)), logits)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(planes)
    assert half.dtype == torch.bfloat16
    assert (half - logits).norm() < 0.1 * logits.norm()
    last = model.to(memory_format=torch.channels_last)(planes.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "planes", "message"),
    [
        ({}, pictures(4), r"reads block size 8: Y with 64 channels; got 16. Re-block with transforms.Reblock\(8\)"),
        ({"block_size": (8, 4)}, pictures(8), r"block size 4: Cb with 16 channels; got 64.*Reblock\(\(8, 4\)\)"),
        ({}, pictures()._replace(cr=pictures().cr[..., 1:]), "Cb and Cr have one shape"),
        ({}, pictures().map(lambda plane: plane[0]), "Add the batch axis"),
        ({}, pictures().y, "reads Coefficients"),
        ({}, blank(225), r"Y \(29, 29\) and chroma \(15, 15\) blocks.*multiples of 16 pixels"),
        ({}, pictures(full_chroma=True), "2 times the chroma grid"),
        ({"block_size": (8, 4)}, blank(72, (8, 4)), "each side a multiple of 2.*multiples of 16 pixels"),
    ],
)
def test_planes_that_do_not_fit_are_refused(options, planes, message):
    with pytest.raises(ValueError, match=message):
        small("late_concat", **options)(planes)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("late_concat_rfa_thiner", {}, "did you mean late_concat_rfa_thinner or"),
        ("zzz", {}, "no network 'zzz'; The names are upsampling"),
        ("rgb_resnet18", {"depth": 50}, "rgb_resnet18 has no option depth; its options are block_size, width"),
        ("upsampling", {"depth": 101}, "depth is one of 18, 34, 50; got 101"),
        ("upsampling", {"width": 0}, "width .* greater than 0; got 0"),
        ("upsampling", {"block_size": 7}, "block size is one of"),
        ("upsampling", {"block_size": (2, 8)}, "or half of it"),
        ("downsampling", {"block_size": (8, 4)}, "nothing is left to downsample"),
        ("deconvolution_rfa", {"block_size": (8, 4)}, "nothing is left to deconvolve"),
        ("frozen_dct_x2", {"size": 1}, "size of at least 2"),
    ],
)
def test_networks_that_do_not_exist_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **options)


def test_transform_networks_refuse_pictures_smaller_than_a_block():
    with pytest.raises(ValueError, match=r"at least 8 x 8 pixels; got \(4, 4\)"):
        TransformResNet("learned_dct", 10, 18, block_size=4, width=0.125)(blank(4, 4))


def test_cifar_stem_is_the_usual_resnet18_of_cifar():
    """The ResNet-18 with a 3x3 stem, as everybody trains it on CIFAR-10, has 11,173,962 parameters and 0.56 GMAC."""
    model = create_model("rgb_resnet18", num_classes=10, stem="cifar")
    assert parameters(model) == 11_173_962
    assert multiply_adds(model, 32) == pytest.approx(0.556e9, rel=0.005)
    with pytest.raises(ValueError, match="stem is"):
        create_model("rgb_resnet18", stem="tiny")


def test_the_published_rgb_figure_is_torchvisions_with_the_stride_moved():
    """3.86 G multiply-adds belong to the original ResNet-50, whose stride sits on the first 1x1 of a stage."""
    model = create_model("rgb_resnet50")
    for layer in (model.resnet.layer2, model.resnet.layer3, model.resnet.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    assert multiply_adds(model) / 1e9 == pytest.approx(3.86, rel=0.02)
