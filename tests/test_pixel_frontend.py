"""PixelFrontend against Pillow's decoder, and in float64 against scipy's inverse DCT and upsampling written out by hand."""

import io

import jpeglib
import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image
from torch import nn

from dctnet.coefficients import Coefficients
from dctnet.jpeg.reader import read_jpeg
from dctnet.nn.pixel_frontend import PixelFrontend
from tests.photographs import photograph


def smooth_picture(height: int = 96, width: int = 128) -> Image.Image:
    """Slow waves in each channel, between 60 and 200: far from black, from white, and from the limits of Cb and Cr."""
    v, u = np.mgrid[:height, :width]
    waves = [np.sin(v / 9 + u / 23), np.cos(v / 31 - u / 11), np.sin(u / 17) * np.cos(v / 13)]
    return Image.fromarray(np.stack([130 + 70 * wave for wave in waves], -1).round().astype(np.uint8))


def encode(picture: Image.Image, path, subsampling: int, quality: int = 90) -> tuple[Coefficients, np.ndarray]:
    """(dequantised planes as libjpeg's integers give them, the RGB pixels (3, H, W) that Pillow decodes)."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    path.write_bytes(buffer.getvalue())
    file = jpeglib.read_dct(str(path))
    planes = []
    for index, blocks in enumerate((file.Y, file.Cb, file.Cr)):
        table = file.qt[file.quant_tbl_no[index]]
        values = blocks.astype(np.float64) * table
        planes.append(torch.from_numpy(values.reshape(*values.shape[:2], 64)).permute(2, 0, 1)[None])
    pixels = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    return Coefficients(*planes), pixels.transpose(2, 0, 1).astype(np.float64)


@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["444", "422", "420"])
def test_pixels_are_pillows_to_the_rounding_of_eight_bits(tmp_path, subsampling):
    coefficients, truth = encode(smooth_picture(), tmp_path / "waves.jpg", subsampling)
    pixels = PixelFrontend(scale=255.0, dtype=torch.float64)(coefficients)[0].numpy()
    error = np.abs(pixels - truth)
    # Four roundings (samples of Y and chroma, upsampled chroma, pixels), each uniform in +-1/2, those of chroma times up to
    # 1.772: a standard deviation of up to 0.75 (blue), without bias.
    assert abs((pixels - truth).mean()) < 0.05
    assert error.mean() < 0.6
    assert (error < 2).mean() > 0.995
    assert error.max() < 3


def test_clamp_gives_pillows_pixels_where_the_picture_is_black_and_white(tmp_path):
    v, u = np.mgrid[:64, :64]
    board = Image.fromarray(np.repeat(((v // 5 + u // 7) % 2 * 255).astype(np.uint8)[..., None], 3, -1))
    coefficients, truth = encode(board, tmp_path / "board.jpg", subsampling=0, quality=60)
    free = PixelFrontend(scale=255.0)(coefficients)[0].numpy()
    held = PixelFrontend(scale=255.0, clamp=True)(coefficients)[0].numpy()
    assert free.min() < -5 and free.max() > 260
    assert held.min() >= -1e-4 and held.max() <= 255 + 1e-4
    assert np.abs(held - truth).max() < 3


def idct_by_scipy(plane: torch.Tensor, b: int) -> np.ndarray:
    """Samples (n, h*b, w*b) of a plane (n, b*b, h, w)."""
    n, _, rows, columns = plane.shape
    blocks = plane.numpy().reshape(n, b, b, rows, columns).transpose(0, 3, 4, 1, 2)
    samples = scipy.fft.idctn(blocks, type=2, norm="ortho", axes=(-2, -1))
    return samples.transpose(0, 1, 3, 2, 4).reshape(n, rows * b, columns * b)


def double_by_hand(samples: np.ndarray, axis: int) -> np.ndarray:
    """libjpeg's triangle filter: each new sample is 3/4 of the nearest old one and 1/4 of the next nearest; edges repeat."""
    moved = np.moveaxis(samples, axis, 0)
    out = np.empty((2 * len(moved), *moved.shape[1:]))
    for k in range(len(moved)):
        out[2 * k] = 0.75 * moved[k] + 0.25 * moved[max(k - 1, 0)]
        out[2 * k + 1] = 0.75 * moved[k] + 0.25 * moved[min(k + 1, len(moved) - 1)]
    return np.moveaxis(out, 0, axis)


# block sizes, Y grid, chroma grid, axes on which chroma is doubled
CASES = [
    ((8, 8), (4, 6), (2, 3), (1, 2)),
    ((8, 8), (4, 6), (4, 6), ()),
    ((8, 8), (4, 6), (4, 3), (2,)),
    ((8, 8), (3, 5), (2, 3), (1, 2)),
    ((8, 4), (4, 6), (4, 6), (1, 2)),
    ((16, 16), (2, 2), (1, 1), (1, 2)),
    ((4, 4), (6, 2), (3, 1), (1, 2)),
    ((2, 1), (5, 4), (5, 4), (1, 2)),
    ((1, 1), (8, 6), (4, 3), (1, 2)),
    ((1, 1), (8, 6), (8, 6), ()),
]


def random_planes(sizes, luma, chroma, n=2) -> Coefficients:
    generator = torch.Generator().manual_seed(0)
    shapes = ((sizes[0] ** 2, luma), (sizes[1] ** 2, chroma), (sizes[1] ** 2, chroma))
    return Coefficients(
        *(100 * torch.randn(n, c, *grid, generator=generator, dtype=torch.float64) for c, grid in shapes)
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_in_float64_it_is_the_formula(case):
    sizes, luma, chroma, axes = case
    planes = random_planes(sizes, luma, chroma)
    y, cb, cr = (idct_by_scipy(plane, b) for plane, b in zip(planes, (sizes[0], sizes[1], sizes[1]), strict=True))
    for axis in axes:
        cb, cr = double_by_hand(cb, axis), double_by_hand(cr, axis)
    cb, cr = (chroma[:, : y.shape[1], : y.shape[2]] for chroma in (cb, cr))
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - 0.299 * red - 0.114 * blue) / 0.587  # luma is a mean of the three, with the weights of BT.601
    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.1])
    rgb = ((np.stack([red, green, blue], -1) + 128) / 255 - mean) / std
    ours = PixelFrontend(sizes, mean.tolist(), std.tolist(), dtype=torch.float64)(planes)
    assert np.abs(ours.permute(0, 2, 3, 1).numpy() - rgb).max() < 1e-9
    stored = PixelFrontend(sizes, color="ycbcr", scale=255.0, dtype=torch.float64)(planes)
    assert np.abs(stored.permute(0, 2, 3, 1).numpy() - (np.stack([y, cb, cr], -1) + 128)).max() < 1e-9


def test_float32_is_close_and_integers_and_autocast_change_nothing():
    planes = random_planes((8, 8), (4, 4), (2, 2)).map(torch.round)
    exact = PixelFrontend(scale=255.0, dtype=torch.float64)(planes)
    single = PixelFrontend(scale=255.0)
    assert (single(planes.to(torch.float32)) - exact).abs().max() < 1e-3
    assert torch.equal(single(planes.to(torch.int16)), single(planes.to(torch.float32)))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(single(planes.to(torch.float32)), single(planes.to(torch.int16)))


def test_gradients_are_those_of_finite_differences():
    frontend = PixelFrontend(2, mean=(0.5,) * 3, std=(0.2, 0.3, 0.4), dtype=torch.float64)
    planes = tuple(plane.requires_grad_() for plane in random_planes((2, 2), (4, 2), (2, 1), n=1))
    assert torch.autograd.gradcheck(lambda *p: frontend(Coefficients(*p)), planes)


def test_no_state_and_no_parameters():
    frontend = PixelFrontend()
    assert not frontend.state_dict() and not list(frontend.parameters())


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        (random_planes((8, 8), (4, 4), (1, 1)), r"half of them.*got chroma \(8, 8\) for luma \(32, 32\)"),
        (random_planes((4, 4), (4, 4), (2, 2)), "reads block size 8: Y with 64 channels; got 16.*Reblock"),
        (random_planes((8, 4), (4, 4), (4, 4)), "Cb with 64 channels; got 16"),
        (random_planes((8, 8), (4, 4), (2, 2)).map(lambda p: p[0]), "batch axis"),
        (tuple(random_planes((8, 8), (4, 4), (2, 2))), "reads Coefficients.*got tuple"),
        (Coefficients(torch.zeros(1, 64, 4, 4), None, None), "three tensors; got NoneType, NoneType.*planes of zeros"),
        (torch.zeros(3, 64, 4, 4), r"reads Coefficients.*got a tensor \(3, 64, 4, 4\)"),
    ],
)
def test_planes_that_do_not_fit_are_refused(planes, message):
    with pytest.raises(ValueError, match=message):
        PixelFrontend()(planes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 3}, "block size is one of .* got 3"),
        ({"block_size": (8, 8, 8)}, "got \\(8, 8, 8\\)"),
        ({"color": "yuv"}, "got 'yuv'"),
        ({"std": (1.0, 0.0, 1.0)}, "std is 3 finite numbers greater than 0"),
        ({"chroma_upsampling": "cubic"}, "got 'cubic'"),
        ({"reduce": 3}, "got 3"),
        ({"block_size": (8, 4), "reduce": 8}, r"no more than the block size \(8, 4\); got 8"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PixelFrontend(**options)


def test_nearest_repeats_chroma():
    y, cb, cr = random_planes((8, 8), (4, 6), (2, 3))
    doubled = [np.repeat(np.repeat(idct_by_scipy(plane, 8), 2, 1), 2, 2) for plane in (cb, cr)]
    planes = PixelFrontend(color="ycbcr", scale=255.0, dtype=torch.float64, chroma_upsampling="nearest")(
        Coefficients(y, cb, cr)
    )
    for ours, truth in zip(planes[:, 1:].unbind(1), doubled, strict=True):
        assert np.abs(ours.numpy() - truth - 128).max() < 1e-9


def draft(data: bytes, reduce: int) -> np.ndarray:
    """What libjpeg decodes at 1 / reduce of the size, (3, H, W)."""
    picture = Image.open(io.BytesIO(data))
    picture.draft("RGB", (picture.width // reduce, picture.height // reduce))
    return np.asarray(picture).transpose(2, 0, 1).astype(np.float64)


@pytest.mark.parametrize("reduce", [2, 4, 8])
@pytest.mark.parametrize("subsampling", [0, 2], ids=["444", "420"])
def test_reduced_pixels_are_those_of_libjpegs_scaled_decoder_in_smooth_pictures(reduce, subsampling):
    buffer = io.BytesIO()
    v, u = np.mgrid[:128, :192]
    waves = [np.sin(v / 60 + u / 90), np.cos(v / 80 - u / 70), np.sin(u / 100) * np.cos(v / 90)]
    picture = np.stack([130 + 60 * wave for wave in waves], -1).round().astype(np.uint8)
    Image.fromarray(picture).save(buffer, "JPEG", quality=95, subsampling=subsampling)
    planes = read_jpeg(buffer.getvalue()).coefficients.map(lambda plane: plane[None])
    error = PixelFrontend(scale=255.0, reduce=reduce)(planes)[0].numpy() - draft(buffer.getvalue(), reduce)
    # libjpeg rounds halves up, and a mean is a multiple of 1/4 where the step of DC is 2.
    assert abs(error.mean()) < 0.3
    assert np.abs(error).mean() < (0.6 if subsampling == 0 else 0.8)
    assert np.abs(error).max() < 3 + (subsampling == 2) * reduce  # triangles bend at the edge of subsampled chroma


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_reduced_pixels_are_those_of_the_reader_at_that_scale_and_keep_the_means_of_blocks(reduce):
    buffer = io.BytesIO()
    photograph(96, 128).save(buffer, "JPEG", quality=85)
    whole, small = (read_jpeg(buffer.getvalue(), scale=scale).coefficients for scale in (1, 1 / reduce))
    whole, small = (planes.map(lambda plane: plane[None]) for planes in (whole, small))
    ours = PixelFrontend(reduce=reduce, color="ycbcr", scale=255.0)(whole)
    torch.testing.assert_close(ours, PixelFrontend(8 // reduce, color="ycbcr", scale=255.0)(small), rtol=0, atol=2e-3)
    means = [torch.nn.functional.avg_pool2d(luma[:, :1], b) for luma, b in ((ours, 8 // reduce),)]
    torch.testing.assert_close(means[0], whole.y[:, :1] / 8 + 128, rtol=0, atol=2e-3)


def test_compiled_loops_and_operators_of_torch_are_one_function():
    planes = random_planes((8, 4), (4, 6), (4, 6)).to(torch.float32)
    frontend = PixelFrontend((8, 4), scale=255.0, clamp=True)
    program = torch.export.export(frontend, (planes,))
    torch.testing.assert_close(program.module()(planes), frontend(planes), rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rounded", [False, True])
def test_pixels_do_not_lose_bits_in_a_network_of_another_precision(dtype, rounded):
    planes = random_planes((8, 8), (4, 4), (2, 2))
    as_made = PixelFrontend(scale=255.0, rounded=rounded)(planes)
    moved = nn.Sequential(PixelFrontend(scale=255.0, rounded=rounded)).to(dtype)[0]
    assert moved(planes).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    exact = PixelFrontend(scale=255.0, rounded=rounded, dtype=torch.float64)(planes)
    torch.testing.assert_close(moved(planes).double(), exact, rtol=0, atol=1e-9 if dtype == torch.float64 else 1e-3)
    torch.testing.assert_close(moved(planes).float(), as_made, rtol=0, atol=1e-3)


def test_constants_are_those_of_the_cpu_whatever_the_default_device_is():
    with torch.device("meta"):
        made = PixelFrontend(block_size=(4, 2))
    for name, constant in PixelFrontend(block_size=(4, 2)).named_buffers():
        assert torch.equal(dict(made.named_buffers())[name], constant)


def test_the_default_dtype_changes_no_pixel():
    planes = random_planes((8, 8), (4, 4), (2, 2))
    before = PixelFrontend()(planes)
    torch.set_default_dtype(torch.float64)
    try:
        after = PixelFrontend()(planes)
    finally:
        torch.set_default_dtype(torch.float32)
    assert after.dtype == torch.float32 and torch.equal(after, before)
