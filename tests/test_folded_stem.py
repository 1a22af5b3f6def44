"""The folded first layer against the convolution on a PixelFrontend's pixels, in float64, borders included."""

import copy
import pickle

import pytest
import torch
import torchvision
from torch import nn

from dctnet.coefficients import Coefficients
from dctnet.models.cost import blank
from dctnet.models.fold_stem import fold_stem
from dctnet.models.from_rgb import from_rgb
from dctnet.models.zoo import create_model
from dctnet.nn.folded_stem import FoldedStem
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.transforms.frequency import select_bands

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)


def random_planes(sizes, luma, chroma, n=2, dtype=torch.float64) -> Coefficients:
    generator = torch.Generator().manual_seed(0)
    shapes = ((sizes[0], luma), (sizes[1], chroma), (sizes[1], chroma))
    return Coefficients(*(100 * torch.randn(n, b * b, *grid, generator=generator, dtype=dtype) for b, grid in shapes))


def folded_and_pixels(conv: nn.Conv2d, planes: Coefficients, sizes, upsampling: str):
    conv = conv.to(planes.y.dtype)
    frontend = PixelFrontend(sizes, MEAN, STD, dtype=planes.y.dtype, chroma_upsampling=upsampling)
    return FoldedStem(conv, frontend)(planes), conv(frontend(planes))


def assert_same(ours, theirs, tolerance):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < tolerance * theirs.abs().max()


# kernel, stride, padding, dilation, bias
KERNELS = [
    (7, 2, 3, 1, False),  # ResNet
    (3, 2, 1, 1, False),  # MobileNet
    (4, 4, 0, 1, True),  # ConvNeXt
    (3, 1, 1, 1, True),
    (16, 16, 0, 1, True),  # ViT
    (7, 4, 2, 1, True),
    ((3, 5), 2, (0, 2), (1, 2), True),
    (9, 8, 12, 1, True),  # a whole block of padding
    (3, 1, "same", 1, False),
]
# block sizes, Y grid, chroma grid: 4:2:0 with even and odd numbers of blocks, then the others
GRIDS_420 = [((8, 8), (4, 6), (2, 3)), ((8, 8), (5, 3), (3, 2)), ((4, 4), (7, 5), (4, 3)), ((16, 8), (2, 3), (2, 3))]
OTHER_GRIDS = [((8, 8), (4, 3), (4, 3)), ((8, 8), (4, 6), (4, 3)), ((8, 4), (5, 4), (5, 4))]


@pytest.mark.parametrize("upsampling", ["fancy", "nearest"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_in_float64_it_is_the_convolution_on_pixels(kernel, upsampling):
    torch.manual_seed(0)
    size, stride, padding, dilation, bias = kernel
    for sizes, luma, chroma in GRIDS_420 + (OTHER_GRIDS if upsampling == "fancy" else []):
        conv = nn.Conv2d(3, 2, size, stride, padding, dilation, bias=bias)
        ours, theirs = folded_and_pixels(conv, random_planes(sizes, luma, chroma), sizes, upsampling)
        assert_same(ours, theirs, 1e-10)


@pytest.mark.parametrize("upsampling", ["fancy", "nearest"])
@pytest.mark.parametrize("b", [1, 2, 16, 32])
def test_every_block_size_that_the_stride_fits(b, upsampling):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 2, 3, 2 if b < 16 else 8, 1)
    blocks = {1: 10, 2: 6, 16: 2, 32: 1}[b]
    planes = random_planes((b, b), (2 * blocks, 2 * blocks + (b > 1)), (blocks, blocks + (b > 1)))
    assert_same(*folded_and_pixels(conv, planes, (b, b), upsampling), 1e-10)


def test_float32_is_within_1e_4_and_autocast_and_integers_change_nothing():
    torch.manual_seed(0)
    planes = random_planes((8, 8), (4, 6), (2, 3)).map(torch.round).to(torch.float32)
    conv = nn.Conv2d(3, 4, 7, 2, 3)
    ours, theirs = folded_and_pixels(conv, planes, (8, 8), "fancy")
    assert_same(ours, theirs, 1e-4)
    stem = FoldedStem(conv, PixelFrontend(8, MEAN, STD))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(stem(planes.to(torch.int16)), stem(planes))


def test_dropped_bands_are_those_of_a_picture_without_them():
    """And the price on a picture whose spectrum falls as that of photographs: stated, and no more than the missing energy."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 4, 4).double()
    frontend = PixelFrontend(8, MEAN, STD, dtype=torch.float64, chroma_upsampling="nearest")
    planes = random_planes((8, 8), (4, 6), (2, 3))
    kept = select_bands(planes, 24)
    stem = FoldedStem(conv, frontend, bands=24)
    without = Coefficients(*(torch.zeros_like(plane) for plane in planes))
    for zeros, plane, channels in zip(without, planes, stem.bands, strict=True):
        zeros[:, list(channels)] = plane[:, list(channels)]
    assert_same(stem(kept), conv(frontend(without)), 1e-10)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    stem = FoldedStem(nn.Conv2d(3, 2, 3, 2, 1).double(), PixelFrontend(2, MEAN, STD, dtype=torch.float64))
    planes = tuple(plane.requires_grad_() for plane in random_planes((2, 2), (3, 2), (2, 1), n=1))
    assert torch.autograd.gradcheck(lambda *p: stem(Coefficients(*p)), planes)
    stem(Coefficients(*planes)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in stem.parameters())


class Patches(nn.Module):
    """A network that asks for the size of its picture before it convolves, as ViTs do."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 16, 16)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        n, _, height, width = x.shape
        return self.head(self.patches(x).reshape(n, 8, height // 16 * (width // 16)).relu().mean(2))


class TwoConvolutions(Patches):
    """Reads its pixels twice."""

    def forward(self, x):
        return super().forward(x) + x.mean((2, 3)) @ x.new_ones(3, 5)


@pytest.mark.parametrize(
    ("model", "upsampling"),
    [
        (lambda: torchvision.models.resnet18(num_classes=10), "fancy"),
        (lambda: torchvision.models.squeezenet1_1(num_classes=10), "fancy"),
        (Patches, "nearest"),
    ],
    ids=["resnet18", "squeezenet", "patches"],
)
def test_logits_of_whole_networks_stay(model, upsampling):
    torch.manual_seed(0)
    network = from_rgb(model().eval(), block_size=8, clamp=False, rounded=False, chroma_upsampling=upsampling)
    before = copy.deepcopy(network.state_dict())
    folded = fold_stem(network)
    planes = random_planes((8, 8), (8, 12), (4, 6), dtype=torch.float32)
    with torch.no_grad():
        assert_same(folded(planes), network(planes), 1e-4)
        assert torch.equal(pickle.loads(pickle.dumps(folded))(planes), folded(planes))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert folded.block_size == (8, 8)


def test_a_module_by_itself_is_folded_with_the_options_of_from_rgb():
    torch.manual_seed(0)
    model = Patches()
    options = {"mean": (100.0,) * 3, "std": (50.0, 60.0, 70.0), "scale": 255, "block_size": (16, 8)}
    planes = random_planes((16, 8), (2, 3), (2, 3), dtype=torch.float32)
    assert_same(
        fold_stem(model, **options)(planes), from_rgb(model, clamp=False, rounded=False, **options)(planes), 1e-4
    )
    with pytest.raises(ValueError, match="its own block_size"):
        fold_stem(from_rgb(model), block_size=4)


def test_cost_counts_multiply_adds_by_hand():
    """ViT's patches on 16 x 16 blocks of luma and 8 x 8 of chroma: half the weights, and no pixels to make."""
    folded = fold_stem(Patches(), block_size=(16, 8), chroma_upsampling="nearest")
    cost = folded.cost(64)
    assert cost.convolution == 4 * 4 * 8 * 3 * 256 and cost.parameters == 8 * 3 * 256 + 8
    assert cost.folded == 4 * 4 * 8 * (256 + 2 * 64) and cost.folded_parameters == 8 * (256 + 2 * 64) + 8
    assert cost.folded_fixed == 0
    assert cost.pixels == 64 * 64 * (2 * 16 + 3) + 2 * 32 * 32 * (2 * 8 + 3)
    assert "times the multiply-adds" in str(cost) and f"{cost.folded_parameters:,}" in str(cost)


def test_bands_are_read_as_select_bands_leaves_them():
    folded = fold_stem(Patches(), bands=24, chroma_upsampling="nearest")
    assert folded(select_bands(blank(64), 24)).shape == (1, 5)
    assert folded.cost(64).folded < fold_stem(Patches(), chroma_upsampling="nearest").cost(64).folded / 3


class Shifted(Patches):
    def forward(self, x):
        return super().forward(x - 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fold_stem(TwoConvolutions()), "does more with its pixels than one convolution.*use from_rgb"),
        (lambda: fold_stem(create_model("rgb_resnet18", width=0.125, planes="y")), 'made with planes="y"'),
        (lambda: fold_stem(Shifted()), "patches, does not get the pixels themselves"),
        (lambda: fold_stem(nn.Linear(224, 2)), "Linear has no torch.nn.Conv2d to fold"),
        (lambda: fold_stem(nn.Conv2d(3, 2, 3, 3)), "block of 8 pixels and a stride of 3"),
        (lambda: fold_stem(nn.Conv2d(3, 3, 3, groups=3)), "one group.*got Conv2d"),
        (lambda: fold_stem(nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")), "zero padding"),
        (lambda: fold_stem(Patches(), bands=24), 'bands are folded.*chroma_upsampling="nearest"'),
        (lambda: fold_stem(Patches(), reduce=2), "reduce=1 is folded; got 2"),
        (
            lambda: fold_stem(Patches(), chroma_upsampling="nearest")(random_planes((8, 8), (4, 4), (4, 4))),
            r"reads 4:2:0 planes.*got chroma \(32, 32\) for luma \(32, 32\)",
        ),
        (
            lambda: FoldedStem(nn.Conv2d(3, 2, 7), PixelFrontend(2))(random_planes((2, 2), (2, 2), (1, 1))),
            "does not fit",
        ),
    ],
)
def test_what_cannot_be_folded_says_why(make, message):
    with pytest.raises(ValueError, match=message):
        make()
