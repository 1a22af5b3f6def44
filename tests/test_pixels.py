"""To pixels and through pixels, against what Pillow (libjpeg-turbo) shows."""

import io
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.coefficients import Coefficients
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.pixels import from_pixels, image_through_pixels, to_pixels
from dctnet.jpeg.reader import read_jpeg
from tests.jpeg_writer import ScanSpec, Writer, dqt, random_components
from tests.test_decoder import TABLES


def photograph(height, width, seed=0):
    """Smooth structure, edges and noise: what photographs are made of."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(x / (5 + 3 * c) + y / (9 - c)) for c in range(3)]
    picture = np.stack(waves, -1) + rng.normal(0, 6, (height, width, 3))
    picture[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return picture.clip(0, 255).astype(np.uint8)


def encoded(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def shares(ours: torch.Tensor, data: bytes):
    """The share of samples that differ from Pillow's by at most one level, and the largest difference."""
    truth = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    difference = np.abs(ours.movedim(0, -1).numpy().astype(int) - truth)
    return (difference <= 1).mean(), difference.max()


@pytest.mark.parametrize("size", [(64, 64), (61, 83), (47, 30), (7, 5), (17, 3), (2, 33), (1, 1), (120, 200)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [40, 95])
def test_to_pixels_is_what_pillow_shows(size, subsampling, quality):
    data = encoded(photograph(*size), quality=quality, subsampling=subsampling)
    image = read_jpeg(data)
    share, worst = shares(to_pixels(image.coefficients, grid=image.grid), data)
    assert share >= 0.999 and worst <= 1


@pytest.mark.parametrize("size", [(64, 64), (40, 40)])
def test_to_pixels_of_vertical_subsampling_is_what_pillow_shows(size):
    """Pillow does not write 4:4:0; in a square the factors of 4:2:2 turned round describe as many blocks."""
    data = bytearray(encoded(photograph(*size), quality=90, subsampling="4:2:2"))
    factors = data.index(b"\xff\xc0") + 11
    assert data[factors] == 0x21
    data[factors] = 0x12
    image = read_jpeg(bytes(data))
    assert image.subsampling == "4:4:0"
    share, worst = shares(to_pixels(image.coefficients, grid=image.grid), bytes(data))
    assert share >= 0.999 and worst <= 1


@pytest.mark.parametrize("size", [(64, 64), (45, 70), (9, 16), (17, 3)])
@pytest.mark.parametrize("luma", [(1, 4), (2, 4), (4, 4), (4, 1), (4, 2), (1, 3), (3, 1)])
def test_to_pixels_of_unusual_subsampling_is_what_pillow_shows(size, luma):
    """Chroma at a quarter or a third of the resolution, which libjpeg repeats."""
    components = random_components(np.random.default_rng(2), *size, [luma, (1, 1), (1, 1)])
    for component in components:
        component.blocks = component.blocks // 8  # within the gamut, mostly
    writer = Writer(*size, components, *TABLES)
    scans = [ScanSpec([0, 1, 2])] if luma[0] * luma[1] <= 8 else [ScanSpec([c]) for c in range(3)]
    data = writer.write(scans, head=dqt(0, [1] * 64) + dqt(1, [1] * 64))
    share, worst = shares(to_pixels(read_jpeg(data)), data)
    assert share >= 0.999 and worst <= 1


def test_to_pixels_takes_the_image_or_its_planes():
    image = read_jpeg(encoded(photograph(30, 44)))
    assert torch.equal(to_pixels(image), to_pixels(image.coefficients, size=image.size))
    assert torch.equal(to_pixels(image), to_pixels(image.coefficients, grid=image.grid))


def test_to_pixels_of_gray_is_what_pillow_shows():
    buffer = io.BytesIO()
    Image.fromarray(photograph(45, 70)).convert("L").save(buffer, "JPEG", quality=80)
    image = read_jpeg(buffer.getvalue())
    share, worst = shares(to_pixels(image.coefficients, size=image.size), buffer.getvalue())
    assert share >= 0.999 and worst <= 1


def test_to_pixels_on_real_files(real_data):
    """Every fourth ImageNet file: 4:4:4, 4:2:0, 4:2:2, 4:4:0 and gray."""
    total, within = 0, 0.0
    for path in sorted((real_data / "imagenet_samples").glob("*.jpg"))[::4]:
        image = read_jpeg(path)
        share, _ = shares(to_pixels(image.coefficients, size=image.size), path.read_bytes())
        assert share >= 0.999, path
        total, within = total + 1, within + share
    assert total >= 50 and within / total >= 0.9999


def test_batches_give_the_pixels_of_their_samples():
    planes = [read_jpeg(encoded(photograph(48, 64, seed))).coefficients for seed in range(3)]
    batch = to_pixels(Coefficients(*(torch.stack(p) for p in zip(*planes, strict=True))))
    for i, one in enumerate(planes):
        assert torch.equal(batch[i], to_pixels(one))


def test_from_pixels_inverts_to_a_level():
    pixels = torch.from_numpy(photograph(50, 39)).movedim(-1, 0)
    back = to_pixels(from_pixels(pixels), size=(50, 39))
    assert (back.int() - pixels.int()).abs().max() <= 1


def pil_bytes(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RGB = Image.fromarray(photograph(40, 52))
THROUGH = {
    "CMYK JPEG": pil_bytes(RGB.convert("CMYK"), "JPEG", quality=90),
    "PNG": pil_bytes(RGB, "PNG"),
    "PNG with transparency": pil_bytes(RGB.convert("RGBA"), "PNG"),
    "palette PNG": pil_bytes(RGB.convert("P"), "PNG"),
    "gray PNG": pil_bytes(RGB.convert("L"), "PNG"),
    "one-bit PNG": pil_bytes(RGB.convert("1"), "PNG"),
    "GIF": pil_bytes(RGB, "GIF"),
    "BMP": pil_bytes(RGB, "BMP"),
    "TIFF": pil_bytes(RGB, "TIFF"),
}


@pytest.mark.parametrize("kind", THROUGH)
def test_what_we_cannot_read_comes_through_pixels(kind):
    data = THROUGH[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = read_jpeg(data)
    assert image.from_pixels
    assert image.size == (40, 52)
    assert image.subsampling == ("gray" if "gray" in kind or "one-bit" in kind else "4:4:4")
    assert image.coefficients.y.dtype == torch.int16
    shown = to_pixels(image.coefficients, grid=image.grid)
    # Coefficients rounded to integers and YCbCr rounded to levels: about one level either way.
    truth = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    difference = np.abs(shown.movedim(0, -1).numpy().astype(int) - truth)
    assert difference.mean() < 0.6 and (difference <= 2).mean() > 0.995


def test_sixteen_bits_are_scaled_to_eight():
    levels = (np.arange(64 * 48).reshape(64, 48) * 21).astype(np.uint16)
    data = pil_bytes(Image.fromarray(levels), "PNG")
    fields = image_through_pixels(data, "deep.png", "a PNG file", 2**27)
    shown = to_pixels(fields["coefficients"], size=(64, 48))[0]
    assert (shown.int() - torch.from_numpy((levels >> 8).astype(np.int32))).abs().max() <= 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"this is text", "odd.jpg, byte 0: not a JPEG, and Pillow does not recognise"),
        (THROUGH["PNG"][:200], "Pillow cannot decode it"),
    ],
)
def test_what_pillow_cannot_read_either_is_named(data, message):
    with pytest.raises(JPEGError, match=message):
        image_through_pixels(data, "odd.jpg", "not a JPEG", 2**27)


def test_orientation_comes_this_way_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    fields = image_through_pixels(pil_bytes(RGB, "PNG", exif=exif), "turned.png", "a PNG file", 2**27)
    assert fields["orientation"] == 6


def test_gray_chroma_has_the_grid_of_420():
    fields = image_through_pixels(pil_bytes(RGB.convert("L"), "PNG"), "gray.png", "a PNG file", 2**27)
    assert [tuple(plane.shape) for plane in fields["coefficients"]] == [(64, 5, 7), (64, 3, 4), (64, 3, 4)]


def test_arithmetic_coding_comes_through_pixels(real_data):
    for name in ("synth__arith_seq.jpg", "ljt__testimgari.jpg"):
        data = (real_data / "edge_jpegs" / name).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = read_jpeg(data)
        assert image.from_pixels == "arithmetic coding"
        truth = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        assert np.abs(to_pixels(image).movedim(0, -1).numpy() - truth).mean() < 0.6


def test_memory_of_this_way_is_bounded_by_the_pixels(tmp_path):
    """3000 x 3000 pixels of a small file: at most 30 bytes each at the peak."""
    path = tmp_path / "large.png"
    Image.new("RGB", (3000, 3000), (10, 200, 30)).save(path)
    code = (
        "import resource, sys, warnings; warnings.simplefilter('ignore'); from dctnet import read_jpeg;"
        "read_jpeg(sys.argv[2]); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "read_jpeg(sys.argv[1]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    small = tmp_path / "small.png"
    Image.new("RGB", (30, 30)).save(small)
    done = subprocess.run([sys.executable, "-c", code, path, small], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 30 * 3000 * 3000


def test_max_pixels_bounds_this_way_too():
    with pytest.raises(JPEGError, match="max_pixels=2000"):
        image_through_pixels(THROUGH["PNG"], "big.png", "a PNG file", 2000)


def test_to_pixels_refuses_a_size_that_does_not_fit():
    planes = from_pixels(torch.zeros(3, 16, 16))
    with pytest.raises(ValueError, match="does not fit a luma plane"):
        to_pixels(planes, size=(30, 16))
    with pytest.raises(ValueError, match=r"\(\.\.\., 3, H, W\)"):
        from_pixels(torch.zeros(4, 16, 16))
