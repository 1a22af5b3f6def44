"""Laws that every lossy channel keeps, over one table of all."""

import copy
import math

import numpy as np
import pytest
import torch

from dctnet.robustness.channel import Channel, Identity, distortion
from dctnet.robustness.channels import CHANNELS, create_channel
from tests.photographs import photograph, photographs

# Strengths from little to much, and the options of the class.
TABLE = [
    ("fft", (0.1, 0.3, 0.5, 0.7, 0.9, 0.99), {}),
    ("fft", (0.1, 0.5, 0.9), {"mask": "radial"}),
    ("fft", (0.1, 0.5, 0.9), {"mask": "hyperbolic"}),
    ("fft", (0.1, 0.5, 0.9), {"mask": "triangle"}),
    ("jpeg", (95, 75, 50, 25, 10, 1), {}),
    ("jpeg", (95, 50, 10), {"subsampling": "4:4:4", "rounding": "smooth"}),
    ("jpeg", (95, 50, 10), {"subsampling": "4:2:2"}),
    ("dct_bands", (1, 8, 32, 56, 63), {}),
    ("dct_bands", (1, 8, 15), {"block_size": 4}),
    ("dct_bands", (64, 500, 1023), {"block_size": 32}),
    ("depth", (7, 6, 4, 2, 1), {}),  # a photograph has eight
    ("median", (3, 5, 7, 11), {}),
    ("svd", (0.1, 0.5, 0.9, 0.98), {}),
    ("gaussian", (0.003, 0.03, 0.1, 0.5), {}),
    ("uniform", (0.003, 0.03, 0.1, 0.5), {}),
    ("laplace", (0.003, 0.03, 0.1, 0.5), {}),
    ("dct_noise", (0.003, 0.03, 0.1, 0.5), {}),
    ("dct_noise", (0.003, 0.03, 0.1, 0.5), {"bands": "zigzag-16"}),
    ("fft_noise", (0.003, 0.03, 0.1, 0.5), {}),
    ("fft_noise", (0.003, 0.03, 0.1, 0.5), {"compression": 0.5, "inverse": True}),
]
IDS = [" ".join([name, *map(str, options.values())]) for name, _, options in TABLE]
cases = pytest.mark.parametrize("name, strengths, options", TABLE, ids=IDS)


def made(name, strength, options, seed=0):
    seeded = {"generator": torch.Generator().manual_seed(seed)} if CHANNELS[name].random else {}
    return create_channel(name, strength, **options, **seeded)


def pictures(count=3, height=37, width=45, dtype=torch.float32):
    stacked = np.stack([np.asarray(photograph(height, width, seed)) for seed in range(count)])
    return torch.from_numpy(stacked).movedim(-1, 1).to(dtype) / 255


def test_every_channel_is_in_the_table_and_final():
    assert {name for name, _, _ in TABLE} == set(CHANNELS) - {"none"}
    for kind in CHANNELS.values():
        assert not kind.__subclasses__() and not kind.__abstractmethods__ and kind.__doc__
        assert kind.forward is Channel.forward
        assert isinstance(kind.differentiable, bool) and isinstance(kind.random, bool)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@cases
def test_at_the_lossless_strength_the_input_comes_back(name, strengths, options, dtype):
    pixels = torch.rand(2, 3, 9, 7, dtype=dtype)
    pixels[0, 0, 0, :2] = torch.tensor(
        [1 + 2 * torch.finfo(dtype).eps, -torch.finfo(dtype).eps]
    )  # out of range by rounding
    assert torch.equal(made(name, CHANNELS[name].lossless, options)(pixels), pixels)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@cases
def test_shape_dtype_and_range_are_kept(name, strengths, options, dtype):
    pixels = torch.rand(2, 3, 19, 23, generator=torch.Generator().manual_seed(1)).round(decimals=1).to(dtype)
    before = pixels.clone()
    for strength in (strengths[0], strengths[-1]):
        after = made(name, strength, options)(pixels)
        assert after.shape == pixels.shape and after.dtype == dtype
        assert after.min() >= 0 and after.max() <= 1
    assert not torch.equal(after, pixels) and torch.equal(pixels, before)


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (2, 3), (16, 8)])
@cases
def test_pictures_of_any_size_and_of_one_colour_pass(name, strengths, options, size):
    for count, colours in ((2, 1), (1, 3), (0, 3)):
        pixels = torch.rand(count, colours, *size)
        assert made(name, strengths[0], options)(pixels).shape == pixels.shape


@pytest.mark.parametrize("name, strengths, options", [case for case in TABLE if not CHANNELS[case[0]].random])
def test_a_white_picture_stays_white_but_for_noise(name, strengths, options):
    white = torch.ones(1, 3, 24, 16)
    assert torch.allclose(made(name, strengths[-1], options)(white), white, atol=1e-5)


@cases
def test_a_batch_is_its_pictures_one_by_one(name, strengths, options):
    pixels = pictures()
    together, alone = made(name, strengths[1], options), made(name, strengths[1], options)
    one_by_one = torch.cat([alone(picture[None]) for picture in pixels])
    assert torch.allclose(together(pixels), one_by_one, atol=2e-6)  # float32's sums may be ordered otherwise


@cases
def test_a_stronger_channel_distorts_more(name, strengths, options, real_data):
    pixels = (photographs(real_data, count=2, side=96) / 255).float()
    found = [Channel.distortion(pixels, made(name, strength, options)(pixels)) for strength in strengths]
    l2 = torch.stack([each.l2 for each in found])
    assert (l2[0] > 0).all() and (l2.diff(dim=0) > 0).all()
    assert (torch.stack([each.linf for each in found]) <= 1).all()


@cases
def test_random_channels_draw_from_their_generator_and_the_others_do_not_draw(name, strengths, options):
    pixels = pictures(1)
    channel = made(name, strengths[-2], options)
    state = torch.get_rng_state()
    first, second = channel(pixels), channel(pixels)
    assert torch.equal(state, torch.get_rng_state())  # torch's own is left alone
    assert torch.equal(first, second) != channel.random
    assert torch.equal(first, made(name, strengths[-2], options)(pixels))
    if channel.random:
        assert not torch.equal(first, made(name, strengths[-2], options, seed=1)(pixels))
        with torch.random.fork_rng():
            ours = create_channel(name, strengths[-2], **options)
            torch.manual_seed(3)
            first = ours(pixels)
            torch.manual_seed(3)
            assert torch.equal(first, ours(pixels))


@cases
def test_gradients_are_those_that_the_channel_declares(name, strengths, options):
    """By differences in float64, away from clamps; of JPEG, whose rounding has another's gradient, elsewhere."""
    pixels = 0.3 + 0.4 * torch.rand(1, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pixels.requires_grad_()
    channel = made(name, {"svd": 0.5, "dct_bands": 3, "median": 3}.get(name, strengths[0]), options)

    def passed(pixels):
        if channel.random:
            channel.generator.manual_seed(0)
        return channel(pixels)

    if name == "depth":
        assert not channel.differentiable
        (gradient,) = torch.autograd.grad(passed(pixels).sum(), pixels)
        assert not gradient.any()
    elif name == "jpeg":
        assert channel.differentiable
        (gradient,) = torch.autograd.grad((passed(pixels) * torch.arange(5.0)).sum(), pixels)
        assert gradient.abs().sum() > 0 and gradient.isfinite().all()
    else:
        assert channel.differentiable and torch.autograd.gradcheck(passed, pixels)


@cases
def test_the_values_are_the_same_whether_or_not_a_gradient_is_asked_for(name, strengths, options):
    pixels = pictures(2)
    without = made(name, strengths[1], options)(pixels)
    with_gradient = made(name, strengths[1], options)(pixels.requires_grad_())
    assert torch.allclose(without, with_gradient, atol=1e-6)


@cases
def test_autocast_changes_nothing(name, strengths, options):
    pixels = pictures(1)
    plain = made(name, strengths[1], options)(pixels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(made(name, strengths[1], options)(pixels), plain)


@cases
def test_what_is_no_picture_is_refused(name, strengths, options):
    channel = made(name, strengths[0], options)
    picture = torch.rand(1, 3, 8, 8)
    for wrong, message in (
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"takes pixels \(n, c, h, w\) as floats.*got torch.uint8"),
        (picture[0], r"got torch.float32 \(3, 8, 8\)"),
        (picture.numpy(), "got a ndarray"),
        (picture.index_fill(3, torch.tensor([2]), math.nan), "finite and in .*got values from nan"),
        (picture.index_fill(3, torch.tensor([2]), math.inf), "to inf"),
        (picture.index_fill(3, torch.tensor([2]), 1.001), "to 1.001"),
        (picture.index_fill(3, torch.tensor([2]), -0.001), "from -0.001"),
        (255 * picture, "finite and in"),
    ):
        for each in (channel, made(name, CHANNELS[name].lossless, options)):
            with pytest.raises(ValueError, match=message):
                each(wrong)


WRONG = {
    "none": (0.5, math.nan),
    "fft": (-0.1, 1.0, math.inf, math.nan),
    "jpeg": (0, 101, 50.5, -math.inf, math.nan, True),
    "dct_bands": (-1, 64, 3.5, math.inf),
    "depth": (0, 17, 2.5, -1, math.nan),
    "median": (0, 2, 33, 2.5, -3),
    "svd": (-0.1, 1.0, math.nan),
    **dict.fromkeys(("gaussian", "uniform", "laplace", "dct_noise", "fft_noise"), (-0.1, math.inf, math.nan, "0.1")),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_strengths_that_there_are_not_are_refused(name):
    for strength in WRONG[name]:
        with pytest.raises(ValueError, match="got "):
            create_channel(name, strength)


def test_options_that_there_are_not_are_refused():
    for name, options, message in (
        ("fft", {"mask": "round"}, "mask is one of 'square'"),
        ("jpeg", {"subsampling": "4:1:1"}, "subsampling is one of '4:4:4', '4:2:2', '4:2:0'"),
        ("jpeg", {"rounding": "hard"}, "rounding is one of 'straight_through', 'smooth'"),
        ("jpeg", {"mask": "square"}, "jpeg has no option mask; its options are subsampling, rounding"),
        ("none", {"mask": "square"}, "its options are none"),
        ("dct_bands", {"block_size": 3}, "block_size is one of"),
        ("gaussian", {"generator": 7}, "generator is a torch.Generator or None; got 7"),
        ("dct_noise", {"bands": "circle-3"}, "circle-3"),
        ("dct_noise", {"bands": [64]}, "64"),
        ("fft_noise", {"inverse": 1}, "inverse is True or False"),
        ("fft_noise", {"compression": 1.0}, "compression is"),
        ("blur", {}, "the channel is one of 'none', 'fft', 'jpeg'.*got 'blur'"),
    ):
        with pytest.raises(ValueError, match=message):
            create_channel(name, **options)
    with pytest.raises(ValueError, match="three colours, or gray ones; got 2 channels"):
        create_channel("jpeg")(torch.rand(1, 2, 8, 8))


def test_channels_come_by_name_with_a_strength_of_their_own():
    for name, kind in CHANNELS.items():
        channel = create_channel(name)
        assert type(channel) is kind and isinstance(channel.strength, float)
        assert (channel.strength == channel.lossless) == (name == "none")
        assert create_channel(name, channel.strength).strength == channel.strength  # a whole number may come as a float
        assert f"{channel.strength:g}" in repr(channel)
    assert create_channel("jpeg", 30).strength == 30


def test_a_channel_can_be_copied():
    pixels = pictures(1)
    for name, strengths, options in TABLE:
        channel = made(name, strengths[0], options)
        assert torch.equal(copy.deepcopy(channel)(pixels), channel(pixels))


def test_distortion_is_that_of_numpy():
    before, after = torch.rand(4, 3, 9, 5), torch.rand(4, 3, 9, 5)
    found = distortion(before, after)
    flat = (after - before).double().flatten(1).numpy()
    np.testing.assert_allclose(found.l2, np.linalg.norm(flat, axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.linf, np.abs(flat).max(1), rtol=1e-6)
    assert not Identity.distortion(before, Identity()(before)).l2.any()
    for wrong in (after[:1], after[0]):
        with pytest.raises(ValueError, match="of one shape"):
            distortion(before, wrong)
