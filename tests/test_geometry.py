"""Rotation, shear, translation, padding and flips on coefficients, against torchvision on the samples in float64."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as pixel

from dctnet import dct
from dctnet.coefficients import Coefficients, Grid
from dctnet.transforms import (
    Affine,
    CenterCrop,
    Compose,
    Pad,
    RandomAffine,
    RandomApply,
    RandomChoice,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Rotate,
    Translate,
)
from dctnet.transforms import functional as F
from dctnet.transforms.affine import inverse_matrix, warp
from dctnet.transforms.batched import plan
from dctnet.transforms.canvas import padding_of
from dctnet.transforms.rotation import centered
from dctnet.transforms.separable import fill_of
from dctnet.transforms.steps import Drawn, Placed, Turned, Warped

ATOL = 1e-4  # gray levels
BILINEAR = InterpolationMode.BILINEAR
GRAY = (128, 128, 128)  # zero in every plane
SIZES = [(64, 64), (61, 83), (96, 40)]


def picture(size, spacing=2, block_size=8, seed=0, lead=()):
    """The samples of Y, Cb and Cr, their coefficients, and the grid."""
    grid = Grid(size, ((Fraction(1),) * 2, (Fraction(spacing),) * 2, (Fraction(spacing),) * 2))
    generator = torch.Generator().manual_seed(seed)
    planes, coefficients = [], []
    for plane in range(3):
        rows, columns = grid.samples(plane)
        samples = torch.rand(*lead, rows, columns, dtype=torch.float64, generator=generator) * 255 - 128
        planes.append(samples)
        padded = torch.nn.functional.pad(samples[None], (0, -columns % block_size, 0, -rows % block_size), "replicate")[
            0
        ]
        coefficients.append(dct.block_dct(padded, block_size))
    return planes, Coefficients(*coefficients), grid


def shown(plane, like):
    return dct.block_idct(plane)[..., : like.shape[-2], : like.shape[-1]]


def close(a, b):
    return (a - b).abs().max().item() <= ATOL


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("blocks", [(8, 8), (1, 8), (16, (4, 2))])
@pytest.mark.parametrize("angle", [10, -77.5, 90, 180])
@pytest.mark.parametrize("expand", [False, True])
def test_rotate_is_torchvisions(size, blocks, angle, expand):
    planes, coefficients, grid = picture(size, block_size=blocks[0])
    out = F.rotate(coefficients, angle, expand, fill=GRAY, grid=grid, block_size=blocks[1])
    truth = pixel.rotate(planes[0][None], angle, BILINEAR, expand)[0]
    assert close(shown(out.y, truth), truth)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("center", [None, (10, 50)])
@pytest.mark.parametrize(
    "arguments",
    [
        (0, (3, -5), 1.0, (0, 0)),
        (0, (0, 0), 1.0, (20, 0)),
        (0, (0, 0), 1.0, (0, -33)),
        (25, (2, 1), 0.7, (5, 8)),
        (0, (0, 0), 1.6, (0, 0)),
    ],
)
def test_affine_is_torchvisions(size, center, arguments):
    planes, coefficients, grid = picture(size)
    out = F.affine(coefficients, *arguments, fill=GRAY, center=center, grid=grid)
    truth = pixel.affine(
        planes[0][None], *arguments, interpolation=BILINEAR, center=None if center is None else list(center)
    )[0]
    assert close(shown(out.y, truth), truth)


def test_chroma_is_warped_by_the_map_of_the_picture():
    """A map at twice the resolution, with chroma samples in the middle of four pixels, read by an own bilinear formula."""
    size = (48, 80)
    planes, coefficients, _ = picture(size)
    matrix = inverse_matrix(17, (4, 3), 1.2, (5, 0), centered((30, 10), size))
    out = F.affine(coefficients, 17, (4, 3), 1.2, (5, 0), fill=GRAY, center=(30, 10), block_size=1)
    a, b, c, d, e, f = matrix
    for row in range(0, 24, 5):
        for column in range(0, 40, 7):
            x, y = 2 * column + 1 - 40, 2 * row + 1 - 24  # the pixel coordinates of the sample's centre
            u, v = (a * x + b * y + c + 40) / 2 - 0.5, (d * x + e * y + f + 24) / 2 - 0.5
            total = 0.0
            for i in (math.floor(v), math.floor(v) + 1):
                for j in (math.floor(u), math.floor(u) + 1):
                    if 0 <= i < 24 and 0 <= j < 40:
                        total += (1 - abs(v - i)) * (1 - abs(u - j)) * planes[1][i, j].item()
            assert abs(out.cb[0, row, column].item() - total) < ATOL


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [4, (2, 6), (10, 0, 2, 8), (-4, -2, 6, -8)])
def test_pad_is_torchvisions(size, mode, padding):
    if mode == "symmetric" and isinstance(padding, tuple):
        padding = tuple(abs(side) for side in padding)  # torchvision has no symmetric crop
    planes, coefficients, grid = picture(size)
    out = F.pad(coefficients, padding, fill=200, padding_mode=mode, grid=grid)
    sides = [padding] if isinstance(padding, int) else list(padding)
    fill = 72.0 if mode == "constant" else None
    truth = pixel.pad(planes[0][None], sides, fill=fill, padding_mode=mode)[0]
    assert close(shown(out.y, truth), truth)
    if not any(side % 2 for side in (*sides, *size)):  # chroma lies on the grid
        truth = pixel.pad(planes[1][None], [side // 2 for side in sides], fill=0.0, padding_mode=mode)[0]
        assert close(shown(out.cb, truth), truth)


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
@pytest.mark.parametrize(
    ("size", "padding"),
    [((2, 2), (1, 1, 2, 2)), ((1, 1), 3), ((3, 5), 7), ((4, 2), (6, 10, 8, 2)), ((16, 6), (0, 40, 20, 2))],
)
def test_tiny_pictures_are_mirrored_again_as_numpy_does(size, padding, mode):
    """Of 2 pixels there is one chroma sample, which no single mirror spreads over the pixels that it does for luma."""
    planes, coefficients, grid = picture(size)
    left, top, right, bottom = padding_of(padding)
    out = F.pad(coefficients, padding, padding_mode=mode, grid=grid)
    truth = torch.from_numpy(np.pad(planes[0].numpy(), ((top, bottom), (left, right)), mode))
    assert close(shown(out.y, truth), truth)
    if not any(side % 2 for side in (left, top, right, bottom, *size)):
        sides = ((top // 2, bottom // 2), (left // 2, right // 2))
        truth = torch.from_numpy(np.pad(planes[1].numpy(), sides, mode))
        assert close(shown(out.cb, truth), truth)
    image = SimpleNamespace(coefficients=coefficients, grid=grid)
    made = plan(Compose([Pad(padding, padding_mode=mode)], block_size=8), [image] * 2, [None] * 2)
    for plane, alone in zip(made.apply(made.pack([coefficients] * 2)), out, strict=True):
        assert torch.allclose(plane[1], alone.float(), atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spacing", [1, 2, Fraction(4)])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(size, spacing, quarters):
    planes, coefficients, grid = picture(size, spacing)
    out = F.rotate(coefficients, 90 * quarters, expand=True, grid=grid)
    assert close(shown(out.y, torch.rot90(planes[0], quarters)), torch.rot90(planes[0], quarters))
    if spacing == 2 and not any(side % 2 for side in size):
        for plane, samples in zip(out[1:], planes[1:], strict=True):
            truth = torch.rot90(samples, quarters)
            assert close(shown(plane, truth), truth)
    back = F.rotate(out, -90 * quarters, expand=True)
    if not any(side % 16 for side in size) and spacing == 2:
        assert all(close(a, b) for a, b in zip(back, coefficients, strict=True))


def test_flips_are_torchvisions():
    planes, coefficients, grid = picture((48, 80))
    for ours, theirs in ((F.horizontal_flip, pixel.horizontal_flip), (F.vertical_flip, pixel.vertical_flip)):
        for plane, samples in zip(ours(coefficients, grid=grid), planes, strict=True):
            assert close(shown(plane, samples), theirs(samples))


CHAINS = [
    [RandomVerticalFlip(1.0), RandomHorizontalFlip(1.0)],
    [Rotate(90), RandomVerticalFlip(1.0), Rotate(270, expand=True)],
    [Pad(8, fill=GRAY), Translate(5, -7, fill=GRAY), CenterCrop(40)],
    [Rotate(30, fill=GRAY), RandomHorizontalFlip(1.0), Affine(shear=(10, 0), fill=GRAY)],
    [CenterCrop(50), Rotate(45, fill=GRAY), Pad(3, fill=GRAY), Rotate(90)],
]


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_chains_equal_one_step_after_the_other(chain):
    coefficients = picture((64, 96))[1]
    fused = Compose(chain, block_size=1)(coefficients)
    apart = coefficients
    grid = None
    for transform in chain:
        apart, grid = Compose([transform], block_size=1).with_grid(_Image(apart, grid) if grid else apart)
    assert all(close(a, b) for a, b in zip(fused, apart, strict=True))


class _Image:
    def __init__(self, coefficients, grid):
        self.coefficients, self.grid = coefficients, grid


def test_chains_of_separable_steps_are_applied_once(monkeypatch):
    from dctnet.transforms import passing

    calls = []
    monkeypatch.setattr(passing, "lifted", lambda *given, real=passing.lifted: calls.append(1) or real(*given))
    chain = [
        RandomResizedCrop(48),
        RandomHorizontalFlip(),
        Pad(4),
        RandomVerticalFlip(),
        Translate(3, 2),
        Rotate(90),
        RandomCrop(40),
    ]
    Compose(chain, block_size=8)(picture((64, 96))[1])
    assert len(calls) == 1
    Compose([RandomResizedCrop(48), Rotate(20), RandomHorizontalFlip()], block_size=8)(picture((64, 96))[1])
    assert len(calls) == 3  # before the rotation and after it
    Compose([CenterCrop(48), Pad(4, fill=0), Pad(4, fill=255), CenterCrop(48)], block_size=8)(picture((64, 96))[1])
    assert len(calls) == 5  # one operator fills with one colour


@pytest.mark.parametrize("move", [(5, -3), (-8, 4), (70, 0), (0, -200), (-63, 95)])
@pytest.mark.parametrize("blocks", [8, 1])
def test_moves_alone_equal_moves_within_a_chain(move, blocks):
    coefficients = picture((64, 96))[1]
    alone = Compose([Translate(*move, fill=(9, 99, 200))], block_size=blocks)(coefficients)
    chain = Compose([RandomHorizontalFlip(0.0), Translate(*move, fill=(9, 99, 200))], block_size=blocks)(coefficients)
    assert all(close(a, b) for a, b in zip(alone, chain, strict=True))


def test_two_fills_are_kept_apart():
    planes, coefficients, _ = picture((16, 16))
    out = Compose([Pad(8, fill=0), Pad(8, fill=255)], block_size=1)(coefficients)
    truth = pixel.pad(pixel.pad(planes[0][None], [8], fill=-128.0), [8], fill=127.0)[0]
    assert close(out.y[0], truth)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandomRotation(40), v2.RandomRotation(40, BILINEAR)),
        (RandomRotation((10, 80), expand=True), v2.RandomRotation((10, 80), BILINEAR, expand=True)),
        (RandomAffine(30, (0.1, 0.3), (0.5, 1.5), 20), v2.RandomAffine(30, (0.1, 0.3), (0.5, 1.5), 20, BILINEAR)),
        (RandomAffine(0, shear=(-10, 10, 5, 6)), v2.RandomAffine(0, shear=(-10, 10, 5, 6), interpolation=BILINEAR)),
        (RandomCrop(32), v2.RandomCrop(32)),
        (RandomCrop(64, padding=4), v2.RandomCrop(64, padding=4)),
        (
            RandomCrop((70, 60), padding=(1, 2, 3, 4), pad_if_needed=True),
            v2.RandomCrop((70, 60), (1, 2, 3, 4), pad_if_needed=True),
        ),
        (RandomVerticalFlip(), v2.RandomVerticalFlip()),
        (RandomCrop(60, 4, padding_mode="reflect"), v2.RandomCrop(60, 4, padding_mode="reflect")),
    ],
    ids=str,
)
def test_draws_are_torchvisions(ours, theirs):
    planes, coefficients, _ = picture((64, 64))
    for seed in range(6):
        torch.manual_seed(seed)
        truth = theirs(planes[0][None] + 128)[0]  # so that its fill of zero is black
        torch.manual_seed(seed)
        out = Compose([ours], block_size=1)(coefficients)
        assert out.y[0].shape == truth.shape
        torch.manual_seed(seed)
        inside = theirs(torch.ones_like(planes[0][None]))[0] > 1 - 1e-9
        if isinstance(ours, (RandomRotation, RandomAffine)):  # torchvision weighs the edge of the picture twice
            assert inside.sum() > 100
        else:
            inside[:] = True
        assert (out.y[0] + 128 - truth)[inside].abs().max() <= ATOL
        generator = torch.Generator().manual_seed(seed)
        assert torch.equal(Compose([ours], block_size=1)(coefficients, generator).y, out.y)


def test_the_cheapest_exact_step_is_drawn():
    assert isinstance(Rotate(90).draw((8, 8), None), Turned)
    assert isinstance(Rotate(90).draw((8, 9), None), Warped)
    assert isinstance(Rotate(90, expand=True).draw((8, 9), None), Turned)
    assert isinstance(Rotate(180).draw((8, 9), None), Turned)
    assert isinstance(Affine(translate=(2, 1)).draw((8, 9), None), Placed)
    assert isinstance(Affine().draw((8, 9), None), Drawn)
    assert isinstance(Affine(shear=(1, 0)).draw((8, 9), None), Warped)


def test_a_batch_is_warped_with_a_map_each():
    size = (40, 56)
    pictures = [picture(size, block_size=1, seed=i)[1] for i in range(3)]
    batch = Coefficients(*(torch.stack(planes) for planes in zip(*pictures, strict=True)))
    matrices = torch.tensor([inverse_matrix(10 * i, (i, 0), 1 + i / 9, (0, 3), (0, 0)) for i in range(3)])
    together = warp(batch, matrices, size, (32, 48), fill_of(90))
    for i in range(3):
        alone = warp(pictures[i], matrices[i], size, (32, 48), fill_of(90))
        assert all(torch.allclose(a[i], b) for a, b in zip(together, alone, strict=True))


def test_everything_is_differentiable():
    samples = [torch.rand(1, n, n, dtype=torch.float64, requires_grad=True) for n in (6, 3, 3)]
    matrix = torch.tensor(inverse_matrix(20, (0, 0), 1.1, (4, 0), (0, 0)), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda *planes: tuple(warp(Coefficients(*planes[:3]), planes[3], (6, 6), (5, 7))), (*samples, matrix)
    )
    planes = [torch.rand(64, n, n, dtype=torch.float64, requires_grad=True) for n in (2, 1, 1)]
    chain = Compose([Rotate(20), Pad(3), Rotate(90)], block_size=8)
    assert torch.autograd.gradcheck(lambda *given: tuple(chain(Coefficients(*given))), planes, fast_mode=True)


def test_bfloat16_stays_within_its_rounding():
    _, coefficients, _ = picture((64, 64))
    exact = F.rotate(coefficients, 30)
    rough = F.rotate(coefficients.to(torch.bfloat16), 30)
    assert rough.y.dtype == torch.bfloat16
    assert (rough.y.double() - exact.y).abs().max() < 2**-8 * 1024 * 2


def test_policies_choose_as_torchvision_does():
    _, coefficients, _ = picture((32, 32))
    chain = Compose([RandomApply([RandomVerticalFlip(1.0)], p=0.5)], block_size=8)
    for seed in range(8):
        torch.manual_seed(seed)
        flipped = torch.rand(1).item() < 0.5
        out = chain(coefficients, torch.Generator().manual_seed(seed))
        assert close(out.y, F.vertical_flip(coefficients).y if flipped else coefficients.y)
    choice = Compose([RandomChoice([RandomVerticalFlip(1.0), RandomHorizontalFlip(1.0)], p=[0, 3])], block_size=8)
    assert close(choice(coefficients).y, F.horizontal_flip(coefficients).y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pad((1, 2, 3)), "1, 2 or 4 whole numbers"),
        (lambda: Pad(1, padding_mode="wrap"), "padding_mode is one of"),
        (lambda: Pad(1, fill=300), r"\[0, 255\]; got 300"),
        (lambda: RandomRotation(-3), "degrees either way is a finite number at least 0; got -3"),
        (lambda: RandomRotation((5, 1)), r"degrees is a range \(from, to\), from <= to"),
        (lambda: RandomAffine(3, translate=(2, 0)), "shares of width and height"),
        (lambda: RandomAffine(3, scale=(0, 1)), r"scale is a range .* greater than 0; got \(0, 1\)"),
        (lambda: RandomAffine(3, center=(1, 2, 3)), r"center, .*, is 2 finite numbers; got \(1, 2, 3\)"),
        (lambda: Affine(shear=(90, 0)), "not 90 degrees"),
        (lambda: Affine(scale=0), "scale is a finite number greater than 0; got 0"),
        (lambda: Affine(angle=math.inf), "angle is a finite number; got inf"),
        (lambda: Affine(translate=(0, math.nan)), "translate is 2 finite numbers"),
        (lambda: RandomVerticalFlip(1.5), r"p is a number in \[0, 1\]; got 1.5"),
        (lambda: RandomChoice([]), r"1 transform of dctnet at least; got \[\]"),
        (lambda: RandomApply([torch.nn.ReLU()]), "transforms of dctnet"),
        (lambda: RandomChoice([Pad(1)], p=[0]), "the sum of the weights p is a finite number greater than 0; got 0"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_does_not_fit_the_picture_is_named():
    coefficients = picture((16, 16))[1]
    for transform, message in (
        (RandomCrop(17), "does not fit a picture of 16x16; pad more"),
        (Pad(-8), "leaves 0x0 of a picture of 16x16"),
    ):
        with pytest.raises(ValueError, match=message):
            Compose([transform], block_size=8)(coefficients)
