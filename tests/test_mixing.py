"""MixUp and CutMix against torchvision's on the samples, and lam against scipy's Beta."""

import math

import pytest
import torch
from scipy.stats import beta, kstest
from torchvision.transforms import v2

from dctnet.coefficients import Coefficients, grid_420
from dctnet.dct import block_dct, block_idct
from dctnet.transforms.mixing import CutMix, MixUp, cutmix, label_shares, mixup

LABELS = torch.tensor([0, 3, 1, 1, 2])


def samples_of(size, spacing=2, n=5):
    g = torch.Generator().manual_seed(0)
    shapes = [tuple(length // s for length in size) for s in (1, spacing, spacing)]
    return [torch.rand(n, *shape, dtype=torch.float64, generator=g) * 255 - 128 for shape in shapes]


def coefficients_of(samples, b):
    return Coefficients(*(block_dct(plane, b) for plane in samples))


@pytest.mark.parametrize("kind", ["MixUp", "CutMix"])
@pytest.mark.parametrize("labels", [LABELS, torch.eye(4)[LABELS] * 0.8 + 0.05], ids=["numbers", "shares"])
def test_on_samples_it_is_torchvisions(kind, labels):
    """4:4:4 at block size 1 is pixels: the same draws, the same values to the bit, the same labels."""
    samples = samples_of((48, 80), spacing=1)
    planes = coefficients_of(samples, 1)
    for seed in range(20):
        torch.manual_seed(seed)
        images, shares = getattr(v2, kind)(alpha=0.7, num_classes=4)(torch.stack(samples, 1), labels)
        after = torch.rand(1)
        g = torch.Generator().manual_seed(seed)
        ours = {"MixUp": MixUp, "CutMix": CutMix}[kind](alpha=0.7, num_classes=4)
        mixed, mixed_shares = ours(planes, labels, g)
        for number, plane in enumerate(mixed):
            torch.testing.assert_close(plane[:, 0], images[:, number], rtol=0, atol=1e-13 if kind == "MixUp" else 0)
        torch.testing.assert_close(mixed_shares, shares, rtol=0, atol=1e-6)
        assert torch.equal(after, torch.rand(1, generator=g))


@pytest.mark.parametrize("b", [1, 4, 8])
def test_cutmix_of_420_mixes_chroma_by_coverage(b):
    samples = samples_of((48, 80))
    for box in [(3, 5, 20, 31), (7, 0, 41, 80), (0, 0, 48, 80), (9, 9, 1, 1), (16, 32, 16, 32), (5, 5, 0, 0)]:
        top, left, height, width = box
        mixed, shares = cutmix(coefficients_of(samples, b), LABELS, *box, num_classes=4)
        pixels = torch.zeros(48, 80, dtype=torch.float64)
        pixels[top : top + height, left : left + width] = 1
        for number, plane in enumerate(mixed):
            share = pixels if number == 0 else torch.nn.functional.avg_pool2d(pixels[None], 2)[0]
            truth = samples[number] * (1 - share) + samples[number].roll(1, 0) * share
            torch.testing.assert_close(block_idct(plane), truth, rtol=0, atol=1e-9)
        one_hot = torch.nn.functional.one_hot(LABELS, 4)
        area = height * width / (48 * 80)
        torch.testing.assert_close(shares, one_hot * (1 - area) + one_hot.roll(1, 0) * area, rtol=0, atol=1e-6)


def test_mixup_of_coefficients_is_that_of_the_samples():
    samples = samples_of((48, 80))
    lam = torch.tensor([0.0, 0.25, 0.6, 0.9, 1.0], dtype=torch.float64)
    mixed, shares = mixup(coefficients_of(samples, 8), LABELS, lam, 4)
    for plane, truth in zip(mixed, samples, strict=True):
        weight = lam[:, None, None]
        torch.testing.assert_close(
            block_idct(plane), weight * truth + (1 - weight) * truth.roll(1, 0), rtol=0, atol=1e-9
        )
    assert mixed.y.movedim(-3, -1).is_contiguous()
    torch.testing.assert_close(shares.sum(1), torch.ones(5))
    assert shares[4].tolist() == [0, 0, 1, 0] and shares[0].tolist() == [0, 0, 1, 0]


def test_mixup_takes_selected_bands_and_bfloat16():
    planes = Coefficients(*(torch.randn(3, c, 2, 2).to(torch.bfloat16) for c in (14, 5, 5)))
    mixed, _ = MixUp(num_classes=4)(planes, LABELS[:3], torch.Generator().manual_seed(0))
    lam = MixUp().draw_lam(1, torch.Generator().manual_seed(0)).item()
    expected = (planes.y.double() * lam + planes.y.double().roll(1, 0) * (1 - lam)).to(torch.bfloat16)
    torch.testing.assert_close(mixed.y, expected)
    with pytest.raises(ValueError, match="Apply this before bands are selected"):
        CutMix(num_classes=4)(planes, LABELS[:3])


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_lam_follows_beta(alpha):
    lam = MixUp(alpha=alpha).draw_lam(20000, torch.Generator().manual_seed(1)).numpy()
    truth = beta(alpha, alpha)
    ends = 1e-6  # float32 knows few numbers next to 1: what lies there is counted
    inside = lam[(lam > ends) & (lam < 1 - ends)]
    below = truth.cdf(ends)
    assert kstest(inside, lambda x: (truth.cdf(x) - below) / (1 - 2 * below)).pvalue > 0.01
    for share in (lam <= ends).mean(), (lam >= 1 - ends).mean():
        assert abs(share - below) < 4 * math.sqrt(below / 20000) + 1e-9


def test_per_sample():
    planes = coefficients_of(samples_of((48, 80)), 8)
    kind = CutMix(num_classes=4, per_sample=True)
    mixed, shares = kind(planes, LABELS, torch.Generator().manual_seed(2))
    boxes = torch.stack(kind.draw(5, (48, 80), torch.Generator().manual_seed(2)), 1).tolist()
    assert len({tuple(box) for box in boxes}) == 5
    for number, box in enumerate(boxes):
        one, share = cutmix(planes, LABELS, *box, num_classes=4)
        assert all(torch.allclose(a[number], b[number], atol=1e-10) for a, b in zip(mixed, one, strict=True))
        torch.testing.assert_close(shares[number], share[number])
    _, shares = MixUp(num_classes=4, per_sample=True)(planes, LABELS, torch.Generator().manual_seed(2))
    lam = MixUp().draw_lam(5, torch.Generator().manual_seed(2))
    torch.testing.assert_close(shares[0, 0], lam[0].float())
    torch.testing.assert_close(shares[1, 3], lam[1].float())


def test_the_size_of_the_picture_bounds_the_box():
    """61 rows in 64: boxes are drawn in the picture, and the area is that of the picture."""
    planes = coefficients_of(samples_of((64, 80)), 8)
    kind, areas = CutMix(alpha=1.0, num_classes=4), []
    for seed in range(30):
        _, shares = kind(planes, LABELS, torch.Generator().manual_seed(seed), size=(61, 75))
        top, left, height, width = (n.item() for n in kind.draw(1, (61, 75), torch.Generator().manual_seed(seed)))
        assert top + height <= 61 and left + width <= 75
        areas.append(height * width)
        assert shares[0, 2].item() == pytest.approx(areas[-1] / (61 * 75), abs=1e-6)
    assert len(set(areas)) > 20
    with pytest.raises(ValueError, match="does not fit a luma plane"):
        kind(planes, LABELS, size=(224, 224))


def test_a_batch_of_one_is_itself():
    planes = coefficients_of(samples_of((48, 80), n=1), 8)
    for kind in (MixUp(num_classes=4), CutMix(num_classes=4)):
        mixed, shares = kind(planes, LABELS[1:2], torch.Generator().manual_seed(0))
        assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(mixed, planes, strict=True))
        torch.testing.assert_close(shares, torch.tensor([[0.0, 0.0, 0.0, 1.0]]))


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: MixUp(alpha=0), r"alpha.* greater than 0; got 0"),
        (lambda: CutMix(alpha=-1.0), r"alpha.* greater than 0; got -1.0"),
        (lambda: MixUp(alpha=math.inf), r"alpha.* greater than 0; got inf"),
        (lambda: MixUp(num_classes=0), r"num_classes is a whole number at least 1; got 0"),
        (lambda: label_shares(LABELS, 3), r"labels are class numbers from 0 to 2; got 3"),
        (lambda: label_shares(-LABELS, 4), r"labels are class numbers from 0 to 3; got -3"),
        (lambda: label_shares(LABELS, None), r"num_classes is needed"),
        (lambda: label_shares(LABELS.float(), 4), r"labels are class numbers .*; got torch.float32 of shape \(5,\)"),
        (lambda: label_shares(torch.eye(3), 4), r"shares are \(n, 4\).*; got shape \(3, 3\)"),
    ],
)
def test_numbers_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_arguments_that_do_not_fit():
    planes = coefficients_of(samples_of((48, 80)), 8)
    for lam in (1.5, -0.1, math.nan):
        with pytest.raises(ValueError, match=r"lam is a number in \[0, 1\]; got"):
            mixup(planes, LABELS, lam, 4)
    with pytest.raises(ValueError, match=r"lam is one number or one for each of 5 pictures; got shape \(2,\)"):
        mixup(planes, LABELS, torch.tensor([0.1, 0.2]), 4)
    with pytest.raises(ValueError, match=r"as many as there are labels, 3; plane y has shape \(5, 64, 6, 10\)"):
        mixup(planes, LABELS[:3], 0.5, 4)
    with pytest.raises(ValueError, match=r"is not inside the picture of 47x80 pixels"):
        cutmix(planes, LABELS, 40, 0, 8, 80, 4, grid=grid_420((47, 80)))
    assert repr(MixUp(alpha=0.2, num_classes=4)) == "MixUp(alpha=0.2, num_classes=4)"
    assert repr(CutMix(per_sample=True)) == "CutMix(alpha=1.0, num_classes=None, per_sample=True)"
