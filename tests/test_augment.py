"""The policies: the draws of torchvision, and batches equal to pictures one by one."""

import pytest
import torch
from torchvision.transforms import v2

from dctnet import dct
from dctnet.coefficients import Coefficients, grid_420
from dctnet.transforms import (
    Compose,
    GaussianNoise,
    Normalize,
    RandAugment,
    RandomHorizontalFlip,
    RandomResizedCrop,
    SelectBands,
    ThreeAugment,
    TrivialAugmentWide,
)
from dctnet.transforms.augment import ADJUSTMENTS, MOVES, Adjusted
from dctnet.transforms.batched import plan

BILINEAR = v2.InterpolationMode.BILINEAR
SIZE = (48, 64)


def gray_picture(seed=0, size=SIZE):
    """A smooth gray picture of whole gray levels (3, H, W), and its coefficients."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 1, size[0] // 8, size[1] // 8, dtype=torch.float64, generator=generator) * 120 + 60
    pixels = torch.nn.functional.interpolate(small, size, mode="bicubic")[0, 0].round().clamp(0, 255)
    chroma = torch.zeros(64, size[0] // 16, size[1] // 16, dtype=torch.float64)
    return pixels.expand(3, -1, -1), Coefficients(dct.block_dct(pixels - 128), chroma, chroma)


class Recorded:
    """torchvision's own policy, with the operations that it chooses written down and not applied."""

    def __init__(self, policy):
        self.policy, self.chosen = policy, []
        policy._apply_image_or_video_transform = self._write

    def _write(self, image, name, magnitude, **_):
        self.chosen.append((name, magnitude))
        return image


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RandAugment(), v2.RandAugment()),
        (RandAugment(4, 20, 25, BILINEAR, 3), v2.RandAugment(4, 20, 25, BILINEAR, 3)),
        (TrivialAugmentWide(), v2.TrivialAugmentWide()),
        (TrivialAugmentWide(11, BILINEAR), v2.TrivialAugmentWide(11, BILINEAR)),
    ],
    ids=str,
)
def test_operations_and_magnitudes_are_torchvisions(ours, theirs):
    recorded = Recorded(theirs)
    image = torch.zeros(3, *SIZE, dtype=torch.uint8)
    for seed in range(60):
        recorded.chosen.clear()
        torch.manual_seed(seed)
        theirs(image)
        expected = []
        for name, value in recorded.chosen:
            if name in MOVES:
                expected.append(repr(MOVES[name](value, ours.fill)))
            elif name in ADJUSTMENTS:
                expected.append(repr(Adjusted(name, value)))
        assert [repr(t) for t in ours.choose(SIZE, torch.Generator().manual_seed(seed))] == expected


@pytest.mark.parametrize("name", sorted({*MOVES, *ADJUSTMENTS}))
@pytest.mark.parametrize("strength", [0.2, 0.9])
def test_each_operation_is_torchvisions_on_gray_pictures(name, strength):
    """Within 0..255 and away from the edge of a moved picture, where torchvision weighs the fill twice."""
    space = v2.RandAugment._AUGMENTATION_SPACE[name][0](31, *SIZE)
    value = 0.0 if space is None else float(space[round(30 * strength)])
    pixels, coefficients = gray_picture()
    policy = v2.RandAugment(interpolation=v2.InterpolationMode.BILINEAR)
    whole = name in ("Posterize", "Equalize")  # kinds that torchvision computes on bytes
    image = pixels.to(torch.uint8) if whole else pixels / 255
    truth = policy._apply_image_or_video_transform(image, name, value, policy.interpolation, policy._fill)
    truth = truth.double() if whole else truth * 255
    step = MOVES[name](value, 0) if name in MOVES else Adjusted(name, value)
    out = dct.block_idct(Compose([step], block_size=8)(coefficients).y)[: SIZE[0], : SIZE[1]] + 128
    ones = torch.ones(1, *SIZE, dtype=torch.float64)
    inside = policy._apply_image_or_video_transform(ones, name, value, policy.interpolation, policy._fill)[0] == 1
    inside = inside if name in MOVES else torch.ones_like(inside)
    inside &= (out > 1) & (out < 254) & (truth[0] > 1) & (truth[0] < 254)  # nothing is clamped here
    assert inside.sum() > 500
    assert (out - truth[0])[inside].abs().max() < (0.51 if whole else 0.02)


CHAINS = [
    Compose([RandomResizedCrop(48), RandomHorizontalFlip(), RandAugment()], block_size=8),
    Compose([RandomResizedCrop(48), RandAugment(3, 15, fill=(99, 88, 77)), RandomHorizontalFlip()], block_size=(8, 4)),
    Compose([RandomResizedCrop((48, 40)), TrivialAugmentWide(), SelectBands(24)], block_size=8),
    Compose([RandomResizedCrop(40), ThreeAugment(), GaussianNoise(sigma=4.0)], block_size=8),
    Compose([RandomResizedCrop(40), ThreeAugment(), Normalize([[3.0] * 64] * 3, [[9.0] * 64] * 3)], block_size=8),
]


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_a_batch_equals_pictures_one_by_one(chain):
    generator = torch.Generator().manual_seed(0)
    images = []
    for i in range(24):
        rows, columns = 3 + i % 3, 4 + i % 2
        planes = [torch.randn(64, 2 * rows, 2 * columns, generator=generator)] + [
            torch.randn(64, rows, columns, generator=generator) for _ in range(2)
        ]
        images.append(Coefficients(*(plane * torch.linspace(60, 1, 64)[:, None, None] for plane in planes)))
    made = plan(chain, images, [torch.Generator().manual_seed(i) for i in range(24)])
    batch = made.apply(made.pack(images))
    for i, image in enumerate(images):
        alone = chain(image, torch.Generator().manual_seed(i))
        for plane, expected in zip(batch, alone, strict=True):
            difference = (plane[i] - expected).abs()
            # a sample that falls on the step of a tone curve may go either way by rounding
            assert float(difference.median()) < 1e-3 and float((difference > 0.01).float().mean()) < 0.02


def test_identities_and_moves_cost_no_pass_of_their_own(monkeypatch):
    from dctnet.transforms import passing

    calls = []
    monkeypatch.setattr(passing, "lifted", lambda *given, real=passing.lifted: calls.append(1) or real(*given))

    class Chosen(RandAugment):
        def choose(self, size, generator):
            return [MOVES["TranslateX"](5.0, 0), MOVES["TranslateY"](-3.0, 0)]

    Compose([RandomResizedCrop(48), Chosen(), RandomHorizontalFlip()], block_size=8)(
        gray_picture()[1].to(torch.float32)
    )
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandAugment(num_ops=-1), "num_ops"),
        (lambda: RandAugment(magnitude=31), r"in \[0, 30\]; got 31"),
        (lambda: RandAugment(num_magnitude_bins=1), "num_magnitude_bins"),
        (lambda: RandAugment(fill=999), r"in \[0, 255\]; got 999"),
        (lambda: Adjusted("Sharpen"), "the adjustments are"),
        (lambda: Compose([SelectBands(24), RandAugment()]), "needs values in gray levels"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_pictures_keep_their_size():
    for seed in range(20):
        for policy in (RandAugment(), TrivialAugmentWide(), ThreeAugment()):
            _, grid = Compose([policy], block_size=8).with_grid(gray_picture()[1], torch.Generator().manual_seed(seed))
            assert grid == grid_420(SIZE)
