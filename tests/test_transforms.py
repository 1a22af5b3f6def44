"""Transforms on coefficients, against torchvision on the pixels in float64."""

from fractions import Fraction

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as pixel

from dctnet import dct
from dctnet.coefficients import Coefficients, Grid, infer_grid, stack
from dctnet.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    GaussianBlur,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    Reblock,
    Resize,
)
from dctnet.transforms import functional as F

ATOL = 1e-4  # gray levels


class Picture:
    """Random smooth-ish samples of a picture of any size and sampling, and the coefficients of their blocks."""

    def __init__(self, size, spacing=(2, 2), block_size=8, seed=0):
        vertical, horizontal = (Fraction(s) for s in spacing)
        luma = (Fraction(1), Fraction(1))
        self.grid = Grid(size, (luma, (vertical, horizontal), (vertical, horizontal)))
        generator = torch.Generator().manual_seed(seed)
        self.planes, coefficients = [], []
        for plane in range(3):
            rows, columns = self.grid.samples(plane)
            samples = torch.rand(rows, columns, dtype=torch.float64, generator=generator) * 255 - 128
            self.planes.append(samples)
            padded = torch.nn.functional.pad(
                samples[None, None], (0, -columns % block_size, 0, -rows % block_size), "replicate"
            )
            coefficients.append(dct.block_dct(padded[0, 0], block_size))
        self.coefficients = Coefficients(*coefficients)


def show(plane, rows, columns):
    return dct.block_idct(plane)[..., :rows, :columns]


SIZES = [(64, 64), (61, 83), (375, 500)]
SPACINGS = [(1, 1), (2, 2), (1, 2), (2, 1), (1, 4), (Fraction(3, 2), 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("block_in", "block_out"), [(8, 8), (8, 1), (1, 8), (8, (4, 2)), (16, 32), (4, (8, 4))])
@pytest.mark.parametrize("box", [(0, 0, 48, 48), (5, 3, 41, 56), (2, 10, 33, 17)])
def test_resized_crop_is_torchvisions(size, block_in, block_out, box):
    picture = Picture(size, block_size=block_in)
    out = F.resized_crop(picture.coefficients, *box, (32, 64), grid=picture.grid, block_size=block_out)
    truth = pixel.resized_crop(picture.planes[0][None], *box, [32, 64], antialias=True)[0]
    assert out.y.shape[-3] == (block_out if isinstance(block_out, int) else block_out[0]) ** 2
    torch.testing.assert_close(show(out.y, 32, 64), truth, rtol=0, atol=ATOL)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_chroma_is_torchvisions_whatever_the_sampling(spacing):
    """The box in chroma samples, resampled to half the size: where it starts on a sample, torchvision has the truth."""
    picture = Picture((60, 84), spacing)
    top, left, height, width = 12, 24, 36, 48
    out = F.resized_crop(picture.coefficients, top, left, height, width, (40, 32), grid=picture.grid)
    vertical, horizontal = picture.grid.spacing[1]
    box = [int(n) for n in (top / vertical, left / horizontal, height / vertical, width / horizontal)]
    for ours, plane in zip(out[1:], picture.planes[1:], strict=True):
        truth = pixel.resized_crop(plane[None], *box, [20, 16], antialias=True)[0]
        torch.testing.assert_close(show(ours, 20, 16), truth, rtol=0, atol=ATOL)


@pytest.mark.parametrize("offset", [(0, 0), (1, 0), (0, 1), (7, 3)])
@pytest.mark.parametrize("mirror", [False, True])
def test_chroma_stays_registered_with_luma(offset, mirror):
    """A linear ramp in pixel coordinates, on luma and on chroma samples, is the same ramp after any crop and flip."""
    grid = Grid((64, 80), Picture((64, 80)).grid.spacing)
    planes = []
    for vertical, horizontal in grid.spacing:
        rows = (torch.arange(int(64 / vertical), dtype=torch.float64) + 0.5) * float(vertical)
        columns = (torch.arange(int(80 / horizontal), dtype=torch.float64) + 0.5) * float(horizontal)
        planes.append(dct.block_dct(rows[:, None] - 2 * columns[None]))
    out = F.crop(Coefficients(*planes), *offset, 48, 64, grid=grid)
    if mirror:
        out = F.horizontal_flip(out)
    luma, chroma = dct.block_idct(out.y), dct.block_idct(out.cb)
    averaged = torch.nn.functional.avg_pool2d(luma[None], 2)[0]
    torch.testing.assert_close(chroma[1:-1, 1:-1], averaged[1:-1, 1:-1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [32, 48, (40, 24), (128, 96)])
def test_resize_is_torchvisions(size, target):
    picture = Picture(size)
    out = F.resize(picture.coefficients, target, grid=picture.grid)
    truth = pixel.resize(picture.planes[0][None], target if isinstance(target, int) else list(target), antialias=True)[
        0
    ]
    torch.testing.assert_close(show(out.y, *truth.shape), truth, rtol=0, atol=ATOL)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [32, 37, (61, 64)])
def test_center_crop_is_torchvisions(size, target):
    picture = Picture(size)
    out = F.center_crop(picture.coefficients, target, grid=picture.grid)
    truth = pixel.center_crop(picture.planes[0][None], [target, target] if isinstance(target, int) else list(target))[0]
    torch.testing.assert_close(show(out.y, *truth.shape), truth, rtol=0, atol=ATOL)


@pytest.mark.parametrize("size", [*SIZES, (64, 96)])
def test_horizontal_flip_is_torchvisions(size):
    picture = Picture(size)
    out = F.horizontal_flip(picture.coefficients, grid=picture.grid)
    torch.testing.assert_close(show(out.y, *size), picture.planes[0].flip(-1), rtol=0, atol=ATOL)
    if size[1] % 2 == 0:
        torch.testing.assert_close(
            show(out.cb, *picture.grid.samples(1)), picture.planes[1].flip(-1), rtol=0, atol=ATOL
        )


def test_horizontal_flip_of_whole_blocks_flips_the_sign_of_odd_frequencies():
    picture = Picture((32, 48))
    out = F.horizontal_flip(picture.coefficients)
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(32)[:, None, None]
    torch.testing.assert_close(out.y, picture.coefficients.y.flip(-1) * sign, rtol=0, atol=1e-9)


@pytest.mark.parametrize("block_out", [1, 2, 4, 16, 32, (4, 2)])
def test_reblocking_is_exact_and_inverts(block_out):
    picture = Picture((64, 128))
    there = F.reblock(picture.coefficients, block_out)
    torch.testing.assert_close(dct.block_idct(there.y), picture.planes[0], rtol=0, atol=1e-10)
    back = F.reblock(there, 8)
    for ours, truth in zip(back, picture.coefficients, strict=True):
        torch.testing.assert_close(ours, truth, rtol=0, atol=1e-10)


def test_float32_stays_within_a_thousandth_of_a_gray_level():
    picture = Picture((375, 500))
    single = picture.coefficients.to(torch.float32)
    out = F.resized_crop(single, 11, 7, 301, 402, 224, grid=picture.grid)
    truth = pixel.resized_crop(picture.planes[0][None], 11, 7, 301, 402, [224, 224], antialias=True)[0]
    assert out.y.dtype == torch.float32
    torch.testing.assert_close(show(out.y, 224, 224).double(), truth, rtol=0, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(375, 500), (500, 333), (30, 1000), (1000, 30)])
def test_random_resized_crop_draws_torchvisions_boxes(size, seed):
    torch.manual_seed(seed)
    theirs = v2.RandomResizedCrop(224).make_params([torch.zeros(1, *size)])
    torch.manual_seed(seed)
    assert RandomResizedCrop(224).box(size) == (theirs["top"], theirs["left"], theirs["height"], theirs["width"])


def test_compose_equals_the_pixel_chain():
    """Resize, central crop, random crop and flip as one operator against torchvision's four steps."""
    picture = Picture((75, 101))
    ours = Compose([Resize(72), CenterCrop(64), RandomResizedCrop(32), RandomHorizontalFlip(1.0)])
    theirs = v2.Compose(
        [
            v2.Resize(72, antialias=True),
            v2.CenterCrop(64),
            v2.RandomResizedCrop(32, antialias=True),
            v2.RandomHorizontalFlip(1.0),
        ]
    )
    torch.manual_seed(3)
    out = ours(picture)
    torch.manual_seed(3)
    truth = theirs(picture.planes[0][None])[0]
    torch.testing.assert_close(dct.block_idct(out.y), truth, rtol=0, atol=ATOL)


def test_compose_applies_fused_what_it_would_apply_in_steps():
    picture = Picture((96, 128), (1, 1))
    chain = [Resize(72), CenterCrop(64), RandomHorizontalFlip(1.0)]
    fused = Compose(chain, block_size=(4, 2))(picture)
    stepwise = picture
    for transform in chain:
        stepwise = Compose([transform])(stepwise)
    stepwise = F.reblock(stepwise, (4, 2))
    for one, other in zip(fused, stepwise, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_rounded_once(dtype):
    half = Picture((96, 128)).coefficients.to(dtype)
    mean, std = ([[v] * n for n in (64, 16, 16)] for v in (3.0, 7.0))
    chain = [Resize(72), ColorJitter((0.7, 0.7), 0.4), RandomRotation(30), GaussianBlur(5, 1.0), Normalize(mean, std)]
    for came, asked, given in (
        (dtype, None, dtype),
        (dtype, torch.float32, torch.float32),
        (torch.float32, dtype, dtype),
    ):
        found, wanted = (
            Compose(chain, (8, 4), asked_)(half.to(came_), torch.Generator().manual_seed(0))
            for came_, asked_ in ((came, asked), (torch.float32, None))
        )
        for plane, truth in zip(found, wanted, strict=True):
            assert plane.dtype == given
            assert torch.equal(plane, truth.to(given))


def test_reblock_in_a_chain_sets_the_blocks_that_follow():
    picture = Picture((96, 128))
    chain = Compose([CenterCrop(64), Reblock((4, 2)), RandomHorizontalFlip(1.0)])(picture)
    truth = Compose([CenterCrop(64), RandomHorizontalFlip(1.0)], block_size=(4, 2))(picture)
    for one, other in zip(chain, truth, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_compose_without_geometry_brings_chroma_to_half_resolution():
    picture = Picture((32, 48), (1, 1))
    out = Compose([])(picture)
    truth = pixel.resize(picture.planes[1][None], [16, 24], antialias=True)[0]
    torch.testing.assert_close(dct.block_idct(out.cb), truth, rtol=0, atol=ATOL)
    torch.testing.assert_close(dct.block_idct(out.y), picture.planes[0], rtol=0, atol=ATOL)


def test_a_generator_decides_the_draw():
    picture = Picture((96, 128))
    transform = Compose([RandomResizedCrop(32), RandomHorizontalFlip()])

    def draw(seed):
        return transform(picture, generator=torch.Generator().manual_seed(seed)).y

    torch.manual_seed(1)
    first = draw(5)
    torch.manual_seed(2)
    assert torch.equal(first, draw(5))
    assert not torch.equal(first, draw(6))


def test_random_flip_flips_half_of_the_time():
    generator = torch.Generator().manual_seed(0)
    picture = Picture((16, 16))
    plain = picture.coefficients.y
    flip = Compose([RandomHorizontalFlip(0.5)])
    flipped = sum(not torch.allclose(flip(picture, generator=generator).y, plain, atol=1e-6) for _ in range(200))
    assert 70 < flipped < 130  # a fair coin leaves this range once in 40,000 runs


def test_normalize_makes_the_given_moments_zero_and_one():
    picture = Picture((64, 64), seed=4)
    mean = [plane.mean((-2, -1)) for plane in picture.coefficients]
    std = [plane.std((-2, -1)) for plane in picture.coefficients]
    out = Normalize(mean, std)(picture.coefficients.to(torch.float32))
    for plane in out:
        torch.testing.assert_close(plane.mean((-2, -1)), torch.zeros(64), rtol=0, atol=1e-5)
        torch.testing.assert_close(plane.std((-2, -1)), torch.ones(64), rtol=0, atol=1e-5)


def test_normalize_takes_its_place_in_a_chain():
    picture = Picture((64, 64))
    bands = [[1.0] * 4, [2.0] * 4, [3.0] * 4]
    chain = Compose([CenterCrop(32), RandomHorizontalFlip(1.0), Normalize(bands, bands)], block_size=2)
    plain = Compose([CenterCrop(32)], block_size=2)(picture)
    truth = F.normalize(F.horizontal_flip(plain), *(Coefficients(*map(torch.tensor, bands)),) * 2)
    for one, other in zip(chain(picture), truth, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_nothing_geometric_follows_normalize():
    """Bands of neighbouring blocks are mixed, and each has a scale of its own."""
    bands = [[1.0] * 64] * 3
    with pytest.raises(
        ValueError, match=r"CenterCrop.* mixes the bands of neighbouring blocks: put it before Normalize"
    ):
        Compose([Normalize(bands, bands), CenterCrop(32)])


def test_batches_are_channels_last_and_equal_their_samples():
    pictures = [Picture((32, 32), seed=i).coefficients for i in range(3)]
    batch = stack(pictures)
    assert batch.y.shape == (3, 64, 4, 4) and batch.y.is_contiguous(memory_format=torch.channels_last)
    for i, picture in enumerate(pictures):
        assert torch.equal(batch.cr[i], picture.cr)
    whole = F.resized_crop(batch, 3, 5, 20, 20, 16)
    torch.testing.assert_close(whole.y[2], F.resized_crop(pictures[2], 3, 5, 20, 20, 16).y)


def test_gradients_pass_through():
    picture = Picture((16, 16))
    plane = picture.coefficients.y.clone().requires_grad_()
    F.resized_crop(picture.coefficients._replace(y=plane), 1, 2, 9, 11, 8).y.square().sum().backward()
    assert plane.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: F.crop(p, 0, 0, 65, 10), r"box at \(top 0, left 0\) of 65x10 is not inside the picture of 64x64"),
        (lambda p: F.crop(p, -1, 0, 8, 8), "not inside the picture"),
        (lambda p: F.resize(p, 0), "size is 1 or 2 whole numbers at least 1; got 0"),
        (lambda p: F.resize(p, (0, 8)), r"at least 1; got \(0, 8\)"),
        (lambda p: F.center_crop(p, 65), "resize it first"),
        (lambda p: F.reblock(p, 5), "block size is one of"),
        (lambda p: F.normalize(p, p.map(lambda t: t[:3, 0, 0]), p.map(lambda t: t[:3, 0, 0])), "64 bands"),
        (lambda p: RandomResizedCrop(32, scale=(0, 1)), r"scale is a range .* greater than 0; got \(0, 1\)"),
        (lambda p: RandomHorizontalFlip(1.5), r"p is a number in \[0, 1\]; got 1.5"),
        (lambda p: Compose([torch.nn.ReLU()]), r"a list of transforms of dctnet; got ReLU\(\)"),
        (lambda p: infer_grid(p, (73, 64)), "does not fit a luma plane"),
        (lambda p: infer_grid(p._replace(cb=torch.zeros(64, 7, 4))), "does not belong to a picture"),
        (lambda p: stack([p, p.map(lambda t: t[:, :2])]), "samples of one shape"),
        (lambda p: Compose([], dtype=torch.int16), "coefficients become floats; got dtype=torch.int16"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Picture((64, 64)).coefficients)
