"""A batch at once: equal to each picture alone, for any mixture of sizes and samplings."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from dctnet import dct
from dctnet.coefficients import Coefficients
from dctnet.jpeg.reader import read_jpegs
from dctnet.transforms.batched import plan
from dctnet.transforms.canvas import Pad, RandomCrop, Translate
from dctnet.transforms.color import ColorJitter, RandomInvert
from dctnet.transforms.compose import Compose
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import (
    CenterCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Reblock,
    Resize,
)
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.policy import RandomApply, RandomChoice
from dctnet.transforms.rotation import RandomAffine, RandomRotation, Rotate
from tests.test_decoder import jpeg, picture

SIZES = ((40, 56), (123, 77), (8, 300), (211, 16), (64, 64), (33, 1))
NORMALIZE = Normalize(
    *([[torch.linspace(low, high, bands).tolist() for bands in (64, 16, 16)] for low, high in ((-3, 5), (1, 9))])
)
BILINEAR = InterpolationMode.BILINEAR
CHAINS = {
    "training": Compose([RandomResizedCrop(32), RandomHorizontalFlip()], block_size=8),
    "odd size": Compose([RandomResizedCrop((35, 29)), RandomHorizontalFlip()], block_size=(8, 4)),
    "validation": Compose([Resize(45), CenterCrop(37)], block_size=8),
    "longer": Compose([Resize(31), CenterCrop((31, 29)), RandomHorizontalFlip(), RandomResizedCrop(40)], block_size=4),
    "enlarged": Compose([RandomResizedCrop(96, scale=(0.01, 0.05))], block_size=16),
    "pixels": Compose([RandomResizedCrop(24), RandomHorizontalFlip(1.0), Reblock(1)], block_size=8),
    "bands": Compose([RandomResizedCrop(48), SelectBands(24)], block_size=8),
    "normalised": Compose([RandomResizedCrop(48), NORMALIZE], block_size=(8, 4)),
    "padded": Compose([Pad(3, fill=(9, 99, 199)), RandomResizedCrop(32), Translate(5, -3, (9, 99, 199))], block_size=8),
    "padded by the edge": Compose(
        [Resize((40, 33)), Pad((7, 2), padding_mode="symmetric"), RandomCrop(35)], block_size=8
    ),
    "cropped with padding": Compose([Resize((32, 32)), RandomCrop(32, padding=4), RandomVerticalFlip()], block_size=8),
    "two fills": Compose([RandomResizedCrop(32), Pad(4, fill=0), Pad(4, fill=255), CenterCrop(33)], block_size=8),
    "turned": Compose(
        [RandomResizedCrop((32, 40)), Rotate(90, expand=True), RandomHorizontalFlip()], block_size=(8, 4)
    ),
    "rotated": Compose(
        [RandomResizedCrop(40), RandomRotation(60), RandomResizedCrop(32), NORMALIZE], block_size=(8, 4)
    ),
    "affine": Compose(
        [RandomResizedCrop((40, 33)), RandomAffine(9, (0.1, 0.2), (0.7, 1.2), 9), Reblock(4)], block_size=8
    ),
    "now and then": Compose([RandomResizedCrop(32), RandomApply([RandomRotation(30), Pad(1), CenterCrop(32)])], 8),
    "one of several": Compose(
        [
            RandomResizedCrop(32),
            RandomChoice(
                [RandomRotation(30), Rotate(90), Translate(3, 2), RandomVerticalFlip(1.0), RandomApply([Rotate(270)])]
            ),
            RandomHorizontalFlip(),
            SelectBands(24),
        ],
        block_size=8,
    ),
}


@pytest.fixture(scope="module")
def images():
    """Pictures of many sizes; 4:4:4, 4:2:2, 4:2:0 and gray."""
    files = [
        jpeg(picture(*size, "L" if i == 4 else "RGB", seed=i), **({} if i == 4 else {"subsampling": i % 3}))
        for i, size in enumerate(SIZES)
    ]
    return read_jpegs(files)


def generators(count, seed=0):
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


def at_once(chain, images, dtype=torch.float32, device="cpu", seed=0):
    made = plan(chain, images, generators(len(images), seed))
    packed = made.pack([image if isinstance(image, Coefficients) else image.coefficients for image in images])
    return made.apply(packed.to(device), dtype)


def one_by_one(chain, images, seed=0):
    return [chain(image, generator=g) for image, g in zip(images, generators(len(images), seed), strict=True)]


@pytest.mark.parametrize("name", CHAINS)
def test_equal_to_each_alone(images, name):
    for seed in (0, 100):
        batch = at_once(CHAINS[name], images, seed=seed)
        for i, alone in enumerate(one_by_one(CHAINS[name], images, seed)):
            for plane, expected in zip(batch, alone, strict=True):
                assert plane.dtype == torch.float32
                assert plane.is_contiguous(memory_format=torch.channels_last)
                assert float((plane[i] - expected).abs().max()) < 1e-3  # gray levels


class InLevels:
    """A transform of torchvision that takes floats from 0 to 1, on samples about mid-gray."""

    def __init__(self, transform):
        self.transform = transform

    def __call__(self, samples):
        return self.transform((samples + 128) / 255) * 255 - 128


# On coefficients and on samples, with the same draws. Zero of the samples is mid-gray, and so is what fills: torchvision's empty
# outside, for a fill that is named it weighs twice at the edge of the picture.
TWINS = {
    "crop, flip": (
        [RandomResizedCrop(32), RandomHorizontalFlip()],
        [v2.RandomResizedCrop(32, antialias=True), v2.RandomHorizontalFlip()],
    ),
    "odd crop, both flips": (
        [RandomResizedCrop((35, 29)), RandomHorizontalFlip(1.0), RandomVerticalFlip()],
        [v2.RandomResizedCrop((35, 29), antialias=True), v2.RandomHorizontalFlip(1.0), v2.RandomVerticalFlip()],
    ),
    "resize, centre": (
        [Resize(45), CenterCrop(37)],
        [v2.Resize(45, antialias=True), v2.CenterCrop(37)],
    ),
    "crop of a padded picture": (
        [Resize((32, 33)), RandomCrop(32, padding=5, fill=128)],
        [v2.Resize((32, 33), antialias=True), v2.RandomCrop(32, padding=5)],
    ),
    "reflected": (
        [RandomResizedCrop(40), Pad((3, 5, 2, 7), padding_mode="reflect"), RandomHorizontalFlip(1.0)],
        [
            v2.RandomResizedCrop(40, antialias=True),
            v2.Pad([3, 5, 2, 7], padding_mode="reflect"),
            v2.RandomHorizontalFlip(1.0),
        ],
    ),
    "rotated": (
        [RandomResizedCrop((40, 33)), RandomRotation(60, fill=128)],
        [v2.RandomResizedCrop((40, 33), antialias=True), v2.RandomRotation(60, BILINEAR, fill=None)],
    ),
    "affine": (
        [RandomResizedCrop((40, 33)), RandomAffine(9, (0.1, 0.2), (0.7, 1.2), 9, fill=128), RandomVerticalFlip(1.0)],
        [
            v2.RandomResizedCrop((40, 33), antialias=True),
            v2.RandomAffine(9, (0.1, 0.2), (0.7, 1.2), 9, BILINEAR, fill=None),
            v2.RandomVerticalFlip(1.0),
        ],
    ),
    "colour": (
        [RandomResizedCrop(32), ColorJitter(0.2, 0.2), RandomHorizontalFlip()],
        [v2.RandomResizedCrop(32, antialias=True), InLevels(v2.ColorJitter(0.2, 0.2)), v2.RandomHorizontalFlip()],
    ),
    "inverted, then moved": (
        [Resize((40, 40)), RandomInvert(1.0), RandomRotation(20, fill=128), RandomInvert(0.5)],
        [
            v2.Resize((40, 40), antialias=True),
            InLevels(v2.RandomInvert(1.0)),
            v2.RandomRotation(20, BILINEAR, fill=None),
            InLevels(v2.RandomInvert(0.5)),
        ],
    ),
}


def pixel_pictures(twin, low=100.0, high=155.0, count=3):
    """Samples of noise, whose coefficients are all large, gray planes of them, and what torchvision makes in float64."""
    samples = []
    for h, w in ((64, 96), (200, 48), (72, 72))[:count]:
        noise = torch.rand(1, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(h))
        samples.append(low - 128 + (high - low) * noise)
    planes = [Coefficients(dct.block_dct(s[0]), *(torch.zeros_like(dct.block_dct(s[0])),) * 2) for s in samples]
    truth = []
    with torch.random.fork_rng(devices=[]):
        for seed, picture_ in enumerate(samples):
            torch.manual_seed(seed)
            truth.append(twin(picture_)[0])
    return planes, truth


@pytest.mark.parametrize("name", TWINS)
def test_equal_to_the_pixel_domain(name):
    """Against torchvision in float64, from the same seeds; in float32 to its rounding."""
    ours, theirs = TWINS[name]
    planes, truth = pixel_pictures(v2.Compose(theirs))
    chain = Compose(ours, block_size=8)
    for dtype, tolerance in ((torch.float64, 1e-4), (torch.float32, 1e-3)):
        batch = at_once(chain, [picture_.to(dtype) for picture_ in planes], dtype)
        for i, expected in enumerate(truth):
            out = dct.block_idct(batch.y[i].double())[: expected.shape[0], : expected.shape[1]]
            assert float((out - expected).abs().max()) < tolerance
            assert float(batch.cb[i].abs().max()) < tolerance  # gray stays gray


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounded_once(dtype):
    """No coefficient is farther from torchvision's in float64 than one rounding to ``dtype`` takes it, and float32's."""
    ours, theirs = TWINS["crop, flip"]
    planes, truth = pixel_pictures(v2.Compose(theirs), 0.0, 255.0)
    for transforms, centre, scale in (
        (ours, torch.zeros(64), torch.ones(64)),
        ([*ours, NORMALIZE], NORMALIZE.mean.y, NORMALIZE.std.y),
    ):
        batch = at_once(
            Compose(transforms, block_size=(8, 4)), [picture_.to(torch.float32) for picture_ in planes], dtype
        )
        assert {plane.dtype for plane in batch} == {dtype}
        for i, samples in enumerate(truth):
            exact = (dct.block_dct(samples) - centre[:, None, None].double()) / scale[:, None, None].double()
            off = (batch.y[i].double() - exact).abs()
            assert bool((off <= torch.finfo(dtype).eps / 2 * exact.abs() + 1e-3).all())


def test_only_what_is_read_is_packed(images):
    chain = Compose([Resize(300), CenterCrop(8)], block_size=8)
    made = plan(chain, [images[4]] * 2, generators(2))
    packed = made.pack([images[4].coefficients] * 2)
    assert packed.y.shape == (2 * 2, 2, 64) and packed.y.dtype == torch.int16  # the middle of an 8 x 8 plane, twice


def test_what_cannot_be_done_at_once(images):
    with pytest.raises(ValueError, match="different sizes"):
        plan(Compose([Resize(16)]), images, generators(len(images)))
    with pytest.raises(ValueError, match="no images"):
        plan(CHAINS["training"], [], [])
    samples = Coefficients(*(torch.zeros(1, 8, 8) for _ in range(3)))
    with pytest.raises(ValueError, match="blocks of one size"):
        plan(CHAINS["training"], [samples, images[0]], generators(2))
    for ways in ([SelectBands(24), SelectBands(6)], [Reblock(4), Reblock(2)]):
        with pytest.raises(ValueError, match="one shape; got 2 different ones"):
            at_once(Compose([Resize((16, 16)), RandomChoice(ways)], block_size=8), images)
    with pytest.raises(ValueError, match="an image is a JPEGImage, or Coefficients that are all picture; got a Tensor"):
        plan(CHAINS["training"], [torch.zeros(64, 1, 1)], [None])
    with pytest.raises(ValueError, match="one generator for each image; got 1 for 2 images"):
        plan(CHAINS["training"], images[:2], generators(1))
    with pytest.raises(ValueError, match="each image has a generator of its own; got 1 for 2 images"):
        plan(CHAINS["training"], images[:2], generators(1) * 2)


def test_a_plan_takes_the_pictures_it_was_made_for(images):
    made = plan(CHAINS["training"], images, generators(len(images)))
    packed = made.pack(images)
    same = made.pack([image.coefficients for image in images])
    for plane, truth in zip(made.apply(packed), made.apply(same), strict=True):
        assert torch.equal(plane, truth)
    with pytest.raises(ValueError, match="a plan for 6 pictures; got 5"):
        made.pack(images[1:])
    with pytest.raises(ValueError, match="this needs Coefficients; got a Tensor"):
        made.pack([image.coefficients.y for image in images])
    with pytest.raises(ValueError, match=r"coefficients become floats; got dtype=torch\.int16"):
        made.apply(packed, torch.int16)


@pytest.mark.parametrize(
    "chain",
    [
        [RandomResizedCrop(12), RandomHorizontalFlip()],
        [Resize((11, 13)), Pad(2, fill=9), Rotate(20), ColorJitter(contrast=0.4), SelectBands(24)],
    ],
    ids=str,
)
def test_gradients_reach_the_pictures(chain):
    """The batch is affine in the pictures, so a difference over any distance tells its slope; float32 rounds it."""
    generator = torch.Generator().manual_seed(0)
    sizes = (((2, 3), (1, 2), (1, 2)), ((1, 2), (1, 1), (1, 1)))
    leaves = [
        torch.randn(64, *size, generator=generator, dtype=torch.float64, requires_grad=True)
        for picture_ in sizes
        for size in picture_
    ]

    def batch(*planes):
        pictures = [Coefficients(*planes[:3]), Coefficients(*planes[3:])]
        return tuple(at_once(Compose(chain, block_size=8), pictures, torch.float64))

    assert torch.autograd.gradcheck(batch, leaves, eps=32.0, atol=1e-4, fast_mode=True)
    with torch.no_grad():
        for alike, plane in zip(batch(*leaves), batch(*(leaf.detach() for leaf in leaves)), strict=True):
            assert torch.equal(alike, plane)
    for alike, plane in zip(batch(*leaves), batch(*(leaf.detach() for leaf in leaves)), strict=True):
        torch.testing.assert_close(alike.detach(), plane, rtol=0, atol=1e-3)  # another loop, places in float32


def test_types_are_brought_together():
    whole = Coefficients(*(torch.full((64, n, n), 3, dtype=torch.int16) for n in (4, 2, 2)))
    parts = whole.map(lambda plane: plane.float() * 0.3)
    chain = Compose([CenterCrop(32)], block_size=8)
    for pictures in ([whole, parts], [parts.to(torch.bfloat16)] * 2):
        batch = at_once(chain, pictures)
        for i, picture_ in enumerate(pictures):
            assert torch.allclose(batch.y[i], picture_.y.float(), atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHAINS)
def test_equal_on_a_gpu(images, name):
    batch = at_once(CHAINS[name], images, device="cuda")
    for plane, expected in zip(batch, at_once(CHAINS[name], images), strict=True):
        assert float((plane.cpu() - expected).abs().max()) < 1e-3
