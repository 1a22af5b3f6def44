"""Whatever is given to a transform, it is taken or refused with a ValueError that says what came."""

import inspect
import math
import re

import pytest
import torch
from torchvision.transforms import InterpolationMode

from dctnet import transforms
from dctnet.coefficients import Coefficients, stack
from dctnet.jpeg.reader import read_jpeg
from dctnet.transforms import (
    Affine,
    Compose,
    Cutout,
    GaussianNoise,
    Normalize,
    Pad,
    Quantize,
    RandAugment,
    RandomAffine,
    RandomApply,
    RandomChoice,
    RandomCrop,
    RandomEqualize,
    RandomHorizontalFlip,
    RandomRotation,
    Resize,
    Rotate,
    SelectBands,
    Translate,
    TrivialAugmentWide,
)
from dctnet.transforms import functional as F
from tests.test_decoder import jpeg, picture

NEEDED = {  # where an argument has no default
    "alpha": 1.0, "bands": 24, "bits": 4, "block_size": 8, "degrees": 10, "kernel_size": 3, "mean": [[0.0] * 64] * 3,
    "padding": 1, "percent": 50, "quality": 50, "angle": 10, "sharpness_factor": 2, "size": 8, "std": [[1.0] * 64] * 3,
    "threshold": 128, "transforms": [Resize(8)], "x": 1, "y": 1,
}  # fmt: skip
WRONG = [
    0,
    0.0,
    -1,
    -1.5,
    2.5,
    10**6,
    math.nan,
    math.inf,
    -math.inf,
    None,
    "red",
    "3",
    b"3",
    True,
    object(),
    {},
    {1, 2},
]
WRONG += [(), (1,), (1, 2.5), (2, 1), (1, math.nan), (math.inf, math.inf), (None, 3), (3, 4, 5), ("a", "b"), (1,) * 5]
WRONG += [torch.tensor(3), torch.tensor([1.5, math.nan]), torch.zeros(2, 2), [[]] * 3, [[1.5]] * 3, [1, [2]]]


def arguments():
    for name in transforms.__all__:
        kind = getattr(transforms, name)
        for argument in inspect.signature(kind).parameters.values():
            yield pytest.param(kind, argument.name, id=f"{name}-{argument.name}")


def needed(kind, but):
    given = {
        argument.name: NEEDED[argument.name]
        for argument in inspect.signature(kind).parameters.values()
        if argument.default is argument.empty and argument.name != but
    }
    return given | ({"quality": (10, 50)} if kind is transforms.RandomJPEGQuality and but != "quality" else {})


@pytest.mark.parametrize(("kind", "argument"), [*arguments()])
def test_an_argument_is_taken_or_refused(kind, argument):
    taken = []
    for value in WRONG:
        try:
            made = kind(**needed(kind, argument), **{argument: value})
        except ValueError as error:
            assert "got" in str(error), (value, error)
        else:
            taken.append(value)
            assert not re.search(r"\b(nan|inf)\b", repr(made)), made
    assert len(taken) < len(WRONG) / 2, taken


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Resize(2.5), "size is 1 or 2 whole numbers at least 1; got 2.5"),
        (lambda: Resize((3, 4, 5)), r"got \(3, 4, 5\)"),
        (lambda: Pad(None), r"padding \(left, top, right, bottom\) is 1, 2 or 4 whole numbers; got None"),
        (lambda: Pad(1, fill="red"), r"a color, .*, is 1 or 3 numbers in \[0, 255\]; got 'red'"),
        (lambda: Affine(shear=5), "shear is 2 finite numbers; got 5"),
        (lambda: Translate(2.7, 0), "y is a whole number; got 2.7"),
        (lambda: Cutout(2.7), "size is a whole number at least 1; got 2.7"),
        (lambda: Cutout(math.inf), "got inf"),
        (lambda: SelectBands([[2.7], [0], [0]]), r"bands of plane y is a whole number in \[0, 63\]; got 2.7"),
        (
            lambda: RandomRotation(30, InterpolationMode.BILINEAR),
            "expand is True or False; got <InterpolationMode.BILINEAR",
        ),
        (lambda: Rotate(30, "false"), "expand is True or False; got 'false'"),
        (lambda: RandomCrop(8, None, "no"), "pad_if_needed is True or False; got 'no'"),
        (lambda: Quantize(straight_through="no"), "straight_through is True or False; got 'no'"),
        (lambda: F.rotate(PLANES, 30, 1), "expand is True or False; got 1"),
        (lambda: F.jpeg_quality(PLANES, 30, None), "straight_through is True or False; got None"),
        (lambda: RandAugment(num_ops=2**70), r"num_ops is a whole number in \[0, 100\]; got 1180591620717411303424"),
        (lambda: RandAugment(interpolation="nearest"), "interpolation is bilinear, .*; got 'nearest'"),
        (lambda: TrivialAugmentWide(31, InterpolationMode.NEAREST), "is bilinear, .*; got <InterpolationMode.NEAREST"),
        (lambda: GaussianNoise(mean=math.nan), "mean is a finite number; got nan"),
        (lambda: RandomAffine(0, scale=(1, math.inf)), r"scale .* greater than 0; got \(1, inf\)"),
        (lambda: RandomChoice([Pad(1)], p=[math.inf]), r"p, .*, is 1 finite numbers at least 0; got \[inf\]"),
        (lambda: Normalize([[0.0]] * 2, [[1.0]] * 2), r"mean is three lists .*; got \[\[0.0\], \[0.0\]\]"),
        (lambda: Normalize([[0.0]] * 3, [[1.0, 2.0]] * 3), r"got \[1, 1, 1\] and \[2, 2, 2\]"),
        (lambda: Normalize([[math.nan]] * 3, [[1.0]] * 3), "plane y of mean holds finite numbers, one a band; got nan"),
        (lambda: Normalize([[0.0]] * 3, [[1.0]] * 2 + [[0.0]]), "plane cr of std holds .* greater than 0.*; got 0.0"),
    ],
)
def test_what_came_is_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()


BANDS, FLIP, EQUALIZE = SelectBands(24), RandomHorizontalFlip(), RandomEqualize()


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        (
            [RandomApply([BANDS, EQUALIZE])],
            r"RandomEqualize\(p=0.5\) needs values in gray levels: put it before SelectBands",
        ),
        ([RandomApply([BANDS]), FLIP], r"RandomHorizontalFlip\(p=0.5\) needs all bands .*: put it before SelectBands"),
        ([RandomChoice([EQUALIZE, BANDS]), RandAugment()], "RandAugment.* needs values in gray levels"),
        ([BANDS, RandomChoice([EQUALIZE, FLIP])], "RandomEqualize.* needs values in gray levels"),
        ([RandomApply([RandomChoice([FLIP, RandomApply([BANDS])]), FLIP])], "needs all bands"),
    ],
)
def test_the_order_counts_inside_of_policies(chain, says):
    with pytest.raises(ValueError, match=says):
        Compose(chain)


def test_what_needs_no_gray_levels_may_be_left_to_chance():
    normalize = Normalize([[0.0] * 64] * 3, [[2.0] * 64] * 3)
    chain = Compose([RandomChoice([FLIP, EQUALIZE]), RandomApply([normalize], p=1.0), RandomApply([BANDS], p=1.0)])
    planes = Coefficients(*(torch.ones(64, n, n) for n in (4, 2, 2)))
    assert [len(plane) for plane in chain(planes)] == [16, 4, 4]


PLANES = Coefficients(*(torch.ones(64, n, n) for n in (4, 2, 2)))
FUNCTIONS = {
    "crop": lambda v: F.crop(PLANES, v, 1, 4, 4),
    "resized_crop": lambda v: F.resized_crop(PLANES, 1, 1, 4, v, 8),
    "resize": lambda v: F.resize(PLANES, v),
    "center_crop": lambda v: F.center_crop(PLANES, v),
    "reblock": lambda v: F.reblock(PLANES, v),
    "pad": lambda v: F.pad(PLANES, v),
    "rotate": lambda v: F.rotate(PLANES, v),
    "rotate about": lambda v: F.rotate(PLANES, 3, center=(v, 1)),
    "affine": lambda v: F.affine(PLANES, v),
    "affine, moved": lambda v: F.affine(PLANES, translate=v),
    "affine, scaled": lambda v: F.affine(PLANES, scale=v),
    "affine, sheared": lambda v: F.affine(PLANES, shear=v),
    "adjust_brightness": lambda v: F.adjust_brightness(PLANES, v),
    "adjust_hue": lambda v: F.adjust_hue(PLANES, v),
    "adjust_sharpness": lambda v: F.adjust_sharpness(PLANES, v),
    "drop_chroma": lambda v: F.drop_chroma(PLANES, v),
    "gaussian_blur": lambda v: F.gaussian_blur(PLANES, v),
    "gaussian_blur, sigma": lambda v: F.gaussian_blur(PLANES, 3, (v, 1.0)),
    "gaussian_noise": lambda v: F.gaussian_noise(PLANES, v),
    "laplace_noise": lambda v: F.laplace_noise(PLANES, v),
    "frequency_enhancement": lambda v: F.frequency_enhancement(PLANES, v),
    "spectral_sharpness": lambda v: F.spectral_sharpness(PLANES, v),
    "posterize": lambda v: F.posterize(PLANES, v),
    "solarize": lambda v: F.solarize(PLANES, v),
    "keep_energy": lambda v: F.keep_energy(PLANES, v),
    "jpeg_quality": lambda v: F.jpeg_quality(PLANES, v),
    "select_bands": lambda v: F.select_bands(PLANES, [[v], [0], [0]]),
    "box_mask": lambda v: F.box_mask(PLANES, v, 1, 2, 2),
    "erase": lambda v: F.erase(PLANES, 1, 1, 2, 2, v),
}


@pytest.mark.parametrize("name", F.__all__)
def test_a_function_takes_coefficients_alone(name):
    """Not an image, and not its planes by themselves: the first would lose its grid."""
    function = getattr(F, name)
    parameters = [*inspect.signature(function).parameters.values()][1:]
    given = {one.name: GIVEN[one.name] for one in parameters if one.default is one.empty}
    image = read_jpeg(jpeg(picture(16, 16)))
    assert function(stack([image.coefficients]), **given)
    for wrong in (image, tuple(image.coefficients), image.coefficients.y, None):
        for grid in [{}, {"grid": image.grid}] if "grid" in [one.name for one in parameters] else [{}]:
            with pytest.raises(
                ValueError, match=f"got a {type(wrong).__name__}.* pass image.coefficients and grid=image.grid"
            ):
                function(wrong, **given, **grid)


GIVEN = {
    "top": 1, "left": 2, "height": 3, "width": 4, "size": 8, "output_size": 8, "padding": 1, "angle": 3, "block_size": 4,
    "brightness_factor": 2, "contrast_factor": 2, "saturation_factor": 2, "hue_factor": 0.2, "sharpness_factor": 2,
    "kernel_size": 3, "bits": 3, "threshold": 99, "factor": 2, "strength": 0.3, "percent": 50, "quality": 50, "plane": 1,
    "bands": 24, "labels": torch.ones(1, 2), "lam": 0.5, "mean": PLANES.map(lambda plane: plane[:, 0, 0]),
    "std": PLANES.map(lambda plane: plane[:, 0, 0]),
}  # fmt: skip
OF_A_PICTURE = {  # the functions that take one number for each picture of a batch
    "adjust_brightness": F.adjust_brightness,
    "adjust_hue": F.adjust_hue,
    "adjust_sharpness": F.adjust_sharpness,
    "drop_chroma": F.drop_chroma,
    "frequency_enhancement": F.frequency_enhancement,
    "gaussian_noise": F.gaussian_noise,
    "jpeg_quality": F.jpeg_quality,
    "keep_energy": F.keep_energy,
    "posterize": F.posterize,
    "solarize": F.solarize,
    "spectral_sharpness": F.spectral_sharpness,
}


@pytest.mark.parametrize("function", OF_A_PICTURE.values(), ids=OF_A_PICTURE)
def test_numbers_of_pictures_are_counted(function):
    numbers = torch.tensor([1, 2, 1]) * (0.25 if function is F.adjust_hue else 1)
    three = function(PLANES.map(lambda plane: plane.expand(3, *plane.shape)), numbers)
    assert [len(plane) for plane in three] == [3, 3, 3]
    for lead in ((), (1,), (2,)):
        with pytest.raises(
            ValueError, match=rf"one for each of the \({lead[0] if lead else ''},?\) pictures .* got shape \(3,\)"
        ):
            function(PLANES.map(lambda plane, lead=lead: plane.expand(*lead, *plane.shape)), numbers)


@pytest.mark.parametrize("function", [F.drop_chroma, F.posterize, F.jpeg_quality])
def test_no_fractions_of_pictures(function):
    with pytest.raises(ValueError, match=r"is a whole number in .*; got 1.5"):
        function(PLANES.map(lambda plane: plane.expand(2, *plane.shape)), torch.tensor([1.0, 1.5]))


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_figures_of_bands_are_checked(wrong):
    good, bad = (PLANES.map(lambda plane, v=v: torch.full((64,), v)) for v in (1.0, wrong))
    with pytest.raises(
        ValueError, match=f"plane y of scales holds finite numbers greater than 0, one a band; got {wrong}"
    ):
        F.quantize_int8(PLANES, bad)
    with pytest.raises(
        ValueError, match=f"plane y of std holds finite numbers greater than 0, one a band; got {wrong}"
    ):
        F.normalize(PLANES, good, bad)
    if not math.isfinite(wrong):
        with pytest.raises(ValueError, match=f"plane y of mean holds finite numbers, one a band; got {wrong}"):
            F.normalize(PLANES, bad, good)


@pytest.mark.parametrize("call", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "red", (), (1, math.nan), (1,) * 5], ids=str)
def test_a_function_refuses(call, value):
    with pytest.raises(ValueError):
        call(value)
