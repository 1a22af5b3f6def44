"""Masks and erased boxes against the samples in float64, and their draws against torchvision's."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import erase as pixel_erase

from dctnet.coefficients import Coefficients, Grid, grid_420
from dctnet.dct import block_dct, block_idct
from dctnet.transforms import erasing
from dctnet.transforms.compose import Compose
from dctnet.transforms.erasing import Cutout, RandomErasing
from dctnet.transforms.masking import box_mask, erase, paste
from dctnet.transforms.normalize import Normalize

SIZE = (61, 75)  # 8x10 blocks of 8, the last ones not full; chroma 31x38
BLOCKS = [(8, 8), (8, 4), (1, 1), (2, 16)]
BOXES = torch.tensor([[0, 0, 61, 75], [3, 5, 20, 31], [17, 9, 1, 1], [16, 8, 24, 32], [40, 33, 21, 42], [7, 7, 0, 9]])


def samples_of(seed, n=6, spacing=2, blocks=(8, 8), size=SIZE):
    """Gray levels less 128 of n pictures, the edge repeated up to whole blocks."""
    g = torch.Generator().manual_seed(seed)
    planes = []
    for s, b in ((1, blocks[0]), (spacing, blocks[1]), (spacing, blocks[1])):
        rows, columns = (-(-length // s) for length in size)
        plane = torch.rand(n, 1, rows, columns, dtype=torch.float64, generator=g) * 255 - 128
        plane = torch.nn.functional.pad(plane, (0, -columns % b, 0, -rows % b), mode="replicate")
        planes.append(plane[:, 0])
    return planes


def coefficients_of(samples, blocks):
    return Coefficients(*(block_dct(p, b) for p, b in zip(samples, (blocks[0], blocks[1], blocks[1]), strict=True)))


def coverage(box, spacing, shape, size=SIZE):
    """The share of each sample that lies in the box, counted pixel by pixel; what is beyond the picture repeats its edge."""
    top, left, height, width = box
    picture = torch.zeros(size, dtype=torch.float64)
    picture[top : top + height, left : left + width] = 1
    rows, columns = shape[0] * spacing, shape[1] * spacing
    picture = torch.nn.functional.pad(picture[None, None], (0, columns - size[1], 0, rows - size[0]), mode="replicate")
    return torch.nn.functional.avg_pool2d(picture, spacing)[0, 0]


@pytest.mark.parametrize("spacing", [1, 2])
@pytest.mark.parametrize("blocks", BLOCKS)
def test_mask_and_erase_are_those_of_the_samples(blocks, spacing):
    samples = samples_of(0, spacing=spacing, blocks=blocks)
    grid = Grid(SIZE, ((Fraction(1),) * 2, (Fraction(spacing),) * 2, (Fraction(spacing),) * 2))
    planes = coefficients_of(samples, blocks)
    masked = box_mask(planes, *BOXES.unbind(1), grid=grid)
    erased = erase(planes, *BOXES.unbind(1), (200, 30, 90), grid=grid)
    luma = 0.299 * 200 + 0.587 * 30 + 0.114 * 90
    colors = (luma - 128, 0.5 * (90 - luma) / (1 - 0.114), 0.5 * (200 - luma) / (1 - 0.299))
    for number, color in enumerate(colors):
        shape = samples[number].shape[1:]
        share = torch.stack([coverage(box, 1 if number == 0 else spacing, shape) for box in BOXES.tolist()])
        truth = samples[number]
        torch.testing.assert_close(block_idct(masked[number]), share * truth, rtol=0, atol=1e-9)
        torch.testing.assert_close(
            block_idct(erased[number]), truth + share * (color - truth), rtol=0, atol=1e-9
        )  # fmt: skip


def test_erase_is_torchvisions_on_luma():
    samples = samples_of(1)
    erased = erase(coefficients_of(samples, (8, 8)), *BOXES.unbind(1), 40, grid=grid_420(SIZE))
    for number, (top, left, height, width) in enumerate(BOXES.tolist()):
        truth = pixel_erase(samples[0][number][None, :61, :75], top, left, height, width, torch.tensor(40.0 - 128))
        torch.testing.assert_close(block_idct(erased.y[number])[:61, :75], truth[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.int16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_dtypes_and_blocks_that_no_edge_cuts(dtype):
    planes = coefficients_of(samples_of(2), (8, 8)).to(dtype)
    other = coefficients_of(samples_of(3), (8, 8)).to(dtype)
    pasted = paste(planes, other, *BOXES.unbind(1), grid=grid_420(SIZE))
    wide = [c.to(torch.float64) for c in (planes, other)]
    truth = paste(*wide, *BOXES.unbind(1), grid=grid_420(SIZE))
    tolerance = {torch.bfloat16: 2**-8, torch.float32: 1e-6, torch.int16: 1e-6, torch.float64: 0}[dtype]
    for found, expected in zip(pasted, truth, strict=True):
        assert found.dtype == (torch.float32 if dtype == torch.int16 else dtype)
        torch.testing.assert_close(found.to(torch.float64), expected, rtol=tolerance, atol=2e-4 * (tolerance > 0))
    # the fourth box is whole blocks of luma and of chroma: to the bit
    assert torch.equal(pasted.y[3, :, 2:5, 1:5], other.y[3, :, 2:5, 1:5].to(pasted.y.dtype))
    assert torch.equal(pasted.y[3, :, 5:], planes.y[3, :, 5:].to(pasted.y.dtype))
    assert torch.equal(pasted.y[0], other.y[0].to(pasted.y.dtype)) and torch.equal(
        pasted.cb[5], planes.cb[5].to(pasted.cb.dtype)
    )
    assert pasted.y.movedim(-3, -1).is_contiguous()


def test_one_picture_and_one_box_for_all():
    planes = coefficients_of(samples_of(4), (8, 4))
    batch = erase(planes, 3, 5, 20, 31, grid=grid_420(SIZE))
    for number in range(2):
        alone = erase(planes.map(lambda p, i=number: p[i]), 3, 5, 20, 31, grid=grid_420(SIZE))
        assert all(torch.equal(one, many[number]) for one, many in zip(alone, batch, strict=True))


def test_gradients():
    g = torch.Generator().manual_seed(0)

    def planes(n, c, rows, columns):
        return torch.randn(n, c, rows, columns, dtype=torch.float64, generator=g, requires_grad=True)

    inputs = [planes(2, 4, 3, 3), planes(2, 4, 2, 2), planes(2, 4, 2, 2), planes(2, 4, 3, 3)]
    box = [torch.tensor(numbers) for numbers in ((1, 3), (1, 2), (4, 2), (3, 3))]

    def pasted(y, cb, cr, other):
        return paste(Coefficients(y, cb, cr), Coefficients(other, cb * 2, cr * 3), *box, grid=grid_420((5, 6)))

    assert torch.autograd.gradcheck(pasted, inputs, fast_mode=True)


def test_random_erasing_draws_torchvisions_boxes():
    for seed in range(40):
        for value in (0, "random"):
            theirs = v2.RandomErasing(p=0.7, scale=(0.02, 0.9), ratio=(0.2, 5), value=value)
            ours = RandomErasing(p=0.7, scale=(0.02, 0.9), ratio=(0.2, 5), value=value)
            torch.manual_seed(seed)
            image = torch.full((3, *SIZE), -9.0)
            changed = (theirs(image) != image).any(0)
            after = torch.rand(1)
            g = torch.Generator().manual_seed(seed)
            top, left, height, width, _ = map(int, ours.draw(SIZE, g))
            expected = torch.zeros(SIZE, dtype=torch.bool)
            expected[top : top + height, left : left + width] = True
            assert torch.equal(changed, expected)
            assert torch.equal(after, torch.rand(1, generator=g))  # and nothing else is drawn


def test_a_batch_is_its_pictures_one_by_one():
    planes = coefficients_of(samples_of(5), (8, 8)).to(torch.float32)
    for transform in (RandomErasing(0.6, value=(9, 8, 7)), RandomErasing(0.6, value="random"), Cutout(30, 0.6)):
        generators = [torch.Generator().manual_seed(seed) for seed in range(6)]
        drawn = torch.tensor([transform.draw(SIZE, g) for g in generators], dtype=torch.float64)
        assert 0 < (drawn[:, 2] > 0).sum() < 6
        batch = transform.apply(planes, drawn, SIZE)
        for number in range(6):
            picture = planes.map(lambda p, i=number: p[i])
            alone = transform(picture, torch.Generator().manual_seed(number), SIZE)
            assert all(torch.allclose(one, many[number], atol=1e-3) for one, many in zip(alone, batch, strict=True))
            changed = any(not torch.equal(one, two) for one, two in zip(alone, picture, strict=True))
            assert changed == (drawn[number, 2] > 0)
        of_one_draw = transform(planes, torch.Generator().manual_seed(2), SIZE)  # which is for all
        for number in range(6):
            alone = transform(planes.map(lambda p, i=number: p[i]), torch.Generator().manual_seed(2), SIZE)
            assert all(
                torch.allclose(one, many[number], atol=1e-3) for one, many in zip(alone, of_one_draw, strict=True)
            )


@pytest.mark.parametrize(
    "color", [[1, 2, 3], np.array([1, 2, 3]), torch.tensor([1.0, 2.0, 3.0])], ids=["list", "array", "tensor"]
)
def test_a_color_comes_in_any_kind_of_sequence(color):
    planes = coefficients_of(samples_of(5), (8, 8))
    found, wanted = (
        RandomErasing(1.0, value=v)(planes, torch.Generator().manual_seed(0), SIZE) for v in (color, (1, 2, 3))
    )
    assert all(torch.equal(one, two) for one, two in zip(found, wanted, strict=True))


def test_the_noise_of_random_erasing_is_that_of_normal_pixels():
    size = (512, 512)
    planes = Coefficients(torch.zeros(64, 64, 64), *(torch.zeros(64, 32, 32) for _ in range(2)))
    noise = RandomErasing(1.0, value="random").apply(planes, torch.tensor([0, 0, *size, 5.0]), size)
    g = torch.Generator().manual_seed(0)
    red, green, blue = torch.randn(3, *size, generator=g, dtype=torch.float64) * erasing.NOISE
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    halved = [torch.nn.functional.avg_pool2d(c[None], 2) for c in ((blue - luma) / 1.772, (red - luma) / 1.402)]
    for found, expected in zip(noise, (luma, *halved), strict=True):
        assert found.std().item() == pytest.approx(expected.std().item(), rel=0.01)
        assert abs(found.mean()) < 1


def test_cutout_covers_every_pixel_alike_and_stays_inside():
    hits, g = torch.zeros(9, 12), torch.Generator().manual_seed(0)
    for _ in range(4000):
        top, left, height, width = map(int, Cutout(4).draw((9, 12), g))
        hits[top : top + height, left : left + width] += 1
    # A pixel is covered by the centres up to 2 after and 1 before it, along each axis.
    centres = [torch.tensor([len([c for c in range(n) if c - 2 <= k < c + 2]) for k in range(n)]) for n in (9, 12)]
    expected = centres[0][:, None] * centres[1] / 108
    assert ((hits / 4000 - expected).abs() < 0.03).all()


def test_in_a_chain():
    g = torch.Generator().manual_seed(3)
    chain = Compose([RandomErasing(1.0), Cutout(5)])
    planes = coefficients_of(samples_of(6, n=1, size=(64, 80)), (8, 8)).map(lambda p: p[0])
    boxes = [transform.draw((64, 80), g) for transform in chain.transforms]
    expected = erase(erase(planes, *boxes[0][:4]), *boxes[1], 128)
    found = chain(planes, torch.Generator().manual_seed(3))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))
    with pytest.raises(ValueError, match=r"Cutout\(size=5, p=1.0\) needs values in gray levels"):
        Compose([Normalize([[0.0] * 64] * 3, [[1.0] * 64] * 3), Cutout(5)])
    assert repr(RandomErasing()) == "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.0)"


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: RandomErasing(p=1.5), r"p is a number in \[0, 1\]; got 1.5"),
        (lambda: RandomErasing(scale=(0.5, 1.2)), r"scale is a range .* in \[0, 1\]; got \(0.5, 1.2\)"),
        (lambda: RandomErasing(ratio=(0, 2)), r"ratio is a range .* greater than 0; got \(0, 2\)"),
        (lambda: RandomErasing(value="noise"), r"value is a color in gray levels or \"random\"; got 'noise'"),
        (lambda: RandomErasing(value=(1, 2)), r"a color.* got \(1, 2\)"),
        (lambda: Cutout(0), r"size is a whole number at least 1; got 0"),
        (lambda: Cutout(3, -1), r"p is a number in \[0, 1\]; got -1"),
    ],
)
def test_numbers_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("box", [(-1, 0, 2, 2), (0, 70, 3, 6), (60, 0, 2, 1), (3, 3, -1, 2)])
def test_boxes_outside_of_the_picture(box):
    planes = coefficients_of(samples_of(7), (8, 8))
    with pytest.raises(ValueError, match=r"the box at \(top .*\) of .* is not inside the picture of 61x75 pixels"):
        box_mask(planes, *box, grid=grid_420(SIZE))
    with pytest.raises(ValueError, match=r"one for each of a batch \(6,\); got numbers of shape \(2,\)"):
        box_mask(planes, torch.tensor([1, 2]), 0, 1, 1, grid=grid_420(SIZE))
