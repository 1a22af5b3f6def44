"""``bands``, ``scale`` and ``out`` of the reader: the same coefficients, fewer of them, or in memory of the caller's."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet import dct
from dctnet.bands import bands_of
from dctnet.coefficients import Coefficients, SelectedBands, grid_420
from dctnet.jpeg import reader
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.pixels import to_pixels
from dctnet.jpeg.reader import read_jpeg, read_jpegs
from dctnet.transforms import functional as F
from dctnet.transforms.compose import Compose
from tests.test_decoder import jpeg, picture

FILES = {
    "420": jpeg(picture(37, 50), quality=90),
    "444": jpeg(picture(20, 17), quality=100, subsampling=0, optimize=True),
    "gray": jpeg(picture(9, 30, "L"), quality=30),
    "progressive": jpeg(picture(33, 40), progressive=True),
    "restarts": jpeg(picture(40, 40), subsampling=1, restart_marker_blocks=1),
}
ODD = ((63, 0, 7), (5,), (8, 1))


@pytest.mark.parametrize("dequantize", [True, False])
@pytest.mark.parametrize("bands", [6, 24, 192, ODD])
@pytest.mark.parametrize("file", FILES)
def test_bands_are_channels_of_the_whole(file, bands, dequantize):
    whole = read_jpeg(FILES[file], dequantize=dequantize)
    image = read_jpeg(FILES[file], dequantize=dequantize, bands=bands)
    assert image.bands == bands_of(bands)
    for plane, kept, all_of_it in zip(image.coefficients, image.bands, whole.coefficients, strict=True):
        assert torch.equal(plane, all_of_it[list(kept)])
        assert plane.movedim(0, -1).is_contiguous()


@pytest.mark.parametrize("denominator", [2, 4, 8])
@pytest.mark.parametrize("file", FILES)
def test_scale_is_the_picture_without_its_higher_frequencies(file, denominator):
    """Against the pixel domain: block means of the picture (1/8), and in general the DCT-domain low-pass in float64."""
    side = 8 // denominator
    whole, image = read_jpeg(FILES[file]), read_jpeg(FILES[file], scale=1 / denominator)
    assert image.size == tuple(-(-n // denominator) for n in whole.size)
    for plane, all_of_it in zip(image.coefficients, whole.coefficients, strict=True):
        assert plane.dtype == torch.float32
        samples = dct.block_idct(all_of_it.double())
        corner = dct.block_dct(samples).unflatten(0, (8, 8))[:side, :side].flatten(0, 1) / denominator
        assert torch.allclose(plane.double(), corner, atol=1e-9)
        if side == 1:
            means = torch.nn.functional.avg_pool2d(samples[None], 8)[0]
            assert torch.allclose(plane[0].double(), means, atol=1e-9)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_an_eighth_of_a_picture_is_what_libjpeg_shows_at_that_size(subsampling):
    data = jpeg(picture(64, 96), quality=95, subsampling=subsampling)
    image = read_jpeg(data, scale=1 / 8)
    shown = Image.open(io.BytesIO(data))
    shown.draft("YCbCr", (12, 8))
    truth = torch.from_numpy(np.asarray(shown).copy()).permute(2, 0, 1)
    assert truth.shape == (3, 8, 12)
    luma = image.coefficients.y[0] + 128
    assert (luma - truth[0]).abs().max() <= 0.5
    if subsampling == 0:
        assert (image.coefficients.cb[0] + 128 - truth[1]).abs().max() <= 0.5
        rgb = np.asarray(shown.convert("RGB"))
        assert (to_pixels(image).permute(1, 2, 0).int() - torch.from_numpy(rgb.copy()).int()).abs().max() <= 1
    assert Compose([], block_size=8)(image).y.shape == (64, 1, 2)


@pytest.mark.parametrize("bands", [None, 24])
def test_out_is_written_to(bands):
    files = [jpeg(picture(32, 48, seed=i), progressive=i == 2) for i in range(4)]
    expected = read_jpegs(files, bands=bands)
    batch = Coefficients(
        *(
            torch.full((4, *plane.shape[1:], len(plane)), -1, dtype=torch.int16).permute(0, 3, 1, 2)
            for plane in expected[0].coefficients
        )
    )
    images = read_jpegs(files, out=batch, bands=bands)
    for i, image in enumerate(images):
        for plane, into, wanted in zip(image.coefficients, batch, expected[i].coefficients, strict=True):
            assert plane.data_ptr() == into[i].data_ptr()
            assert torch.equal(into[i], wanted)
        assert torch.equal(image.quantization, expected[i].quantization)


def test_out_of_one_picture_is_what_an_earlier_read_gave():
    first, second = (jpeg(picture(24, 24, seed=i)) for i in (0, 1))
    image = read_jpeg(first)
    again = read_jpeg(second, out=image.coefficients)
    assert again.coefficients.y.data_ptr() == image.coefficients.y.data_ptr()
    assert torch.equal(again.coefficients.y, read_jpeg(second).coefficients.y)


@pytest.mark.filterwarnings("ignore:.*read through pixels")
def test_files_through_pixels_heed_the_options(tmp_path):
    data = jpeg(picture(16, 24).convert("CMYK"))
    whole = read_jpeg(data)
    assert torch.equal(read_jpeg(data, bands=6).coefficients.y, whole.coefficients.y[[0, 1, 8, 9]])
    eighth = read_jpeg(data, scale=1 / 8)
    assert eighth.size == (2, 3)
    assert torch.equal(eighth.coefficients.cb, whole.coefficients.cb[:1].float() / 8)
    out = whole.coefficients.map(lambda plane: torch.zeros_like(plane.movedim(0, -1)).movedim(-1, 0).contiguous())
    out = out.map(lambda plane: plane.movedim(0, -1).contiguous().movedim(-1, 0))
    assert torch.equal(read_jpeg(data, out=out).coefficients.y, whole.coefficients.y)
    assert torch.equal(out.cr, whole.coefficients.cr)


def test_out_of_another_shape_is_refused():
    small, large = read_jpeg(FILES["444"]), FILES["420"]
    with pytest.raises(ValueError, match=r"plane y has shape \(64, 5, 7\), out has \(64, 3, 3\)"):
        read_jpeg(large, out=small.coefficients)
    two = small.coefficients.map(lambda plane: torch.stack([plane.movedim(0, -1)] * 2).movedim(-1, 1))
    with pytest.raises(ValueError, match="holds 2 pictures"):
        read_jpegs([FILES["444"]], out=two)
    with pytest.raises(ValueError, match="channels-last"):
        read_jpeg(
            FILES["444"],
            out=small.coefficients.map(lambda plane: plane.contiguous().clone(memory_format=torch.contiguous_format)),
        )
    with pytest.raises(ValueError, match="int16"):
        read_jpeg(FILES["444"], out=small.coefficients.map(torch.Tensor.float))


def test_out_is_three_tensors_apart():
    planes = read_jpeg(FILES["444"]).coefficients
    with pytest.raises(ValueError, match="plane cr of out lies in the memory of another"):
        read_jpeg(FILES["444"], out=planes._replace(cr=planes.cb))
    for wrong in (tuple(planes), planes.y, planes.map(lambda plane: plane.numpy())):
        with pytest.raises(ValueError, match="out is Coefficients of three tensors"):
            read_jpeg(FILES["444"], out=wrong)


@pytest.mark.filterwarnings("ignore:.*read through pixels")
def test_bands_of_files_through_pixels_are_memory_for_the_next_read():
    data = jpeg(picture(16, 24).convert("CMYK"))
    image = read_jpeg(data, bands=24)
    assert image.coefficients.y.movedim(0, -1).is_contiguous()
    again = read_jpeg(data, bands=24, out=image.coefficients)
    assert again.coefficients.y.data_ptr() == image.coefficients.y.data_ptr()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 1 / 3}, "scale is one of"),
        ({"scale": 1 / 2, "bands": 24}, "together with bands"),
        ({"scale": 1 / 2, "dequantize": False}, "together with dequantize"),
        ({"bands": 5}, "static sets"),
        ({"bands": [[0], [64], [0]]}, "plane cb"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        read_jpeg(FILES["420"], **options)


USES = [
    to_pixels,
    lambda planes: to_pixels(planes, grid=grid_420((37, 50))),
    Compose([]),
    F.horizontal_flip,
    lambda planes: F.crop(planes, 1, 2, 3, 4),
    F.equalize,
    F.rgb_to_grayscale,
    lambda planes: F.drop_chroma(planes, 1),
]


@pytest.mark.filterwarnings("ignore:.*read through pixels")
def test_selected_bands_are_not_taken_for_small_blocks():
    """16 kept channels look like blocks of 4; transforms and pixels must refuse them."""
    image = read_jpeg(FILES["420"], bands=24)
    with pytest.raises(ValueError, match="bands"):
        Compose([])(image)
    with pytest.raises(ValueError, match="bands"):
        to_pixels(image)
    out = image.coefficients.map(lambda plane: plane.movedim(0, -1).clone()[None].movedim(-1, 1))
    through_pixels = read_jpeg(jpeg(picture(16, 24).convert("CMYK")), bands=24)
    for chosen in (image, through_pixels, read_jpegs([FILES["420"]], bands=24, out=Coefficients(*out))[0]):
        assert type(chosen.coefficients) is SelectedBands
        for use in USES:
            with pytest.raises(ValueError, match=r"got 16, 4, 4 chosen bands of Y, Cb and Cr"):
                use(chosen.coefficients)
    for whole in (read_jpeg(FILES["420"], bands=192), read_jpeg(FILES["420"], scale=0.5)):
        assert type(whole.coefficients) is Coefficients


def test_damage_in_a_batch_with_out_is_skipped():
    good = FILES["420"]
    wanted = read_jpeg(good).coefficients
    batch = Coefficients(*(torch.empty(2, *p.shape[1:], 64, dtype=torch.int16).permute(0, 3, 1, 2) for p in wanted))
    images = read_jpegs([good[: len(good) // 2], good], out=batch, on_error="skip")
    assert images[0] is None
    assert torch.equal(images[1].coefficients.y, wanted.y)


def test_fields_are_filled_when_asked_for_and_stay():
    image = read_jpeg(FILES["420"])
    assert isinstance(image, JPEGImage)
    with pytest.raises(AttributeError, match="no 'pixels'"):
        _ = image.pixels
    with pytest.raises(AttributeError):
        image.size = (1, 1)
    assert image.coefficients is image.coefficients
    for other in (copy.deepcopy(read_jpeg(FILES["420"])), pickle.loads(pickle.dumps(read_jpeg(FILES["420"])))):
        assert torch.equal(other.coefficients.y, image.coefficients.y)
        assert (other.size, other.sampling, other.source) == (image.size, image.sampling, image.source)


def test_planes_outlive_the_image_and_the_list():
    plane = read_jpegs([FILES["420"]])[0].coefficients.y
    expected = plane.clone()
    for _ in range(20):  # would take over the memory if it were free
        read_jpegs([FILES["420"], FILES["444"]])
    assert torch.equal(plane, expected)


def test_fewer_bands_take_less_memory():
    data = jpeg(picture(256, 256), quality=95, subsampling=0)
    image = read_jpeg(data, bands=24)
    assert sum(plane.numel() for plane in image.coefficients) == 24 * 32 * 32
    assert image.coefficients.y.untyped_storage().nbytes() <= 16 * 32 * 32 * 2


def test_results_of_holds_errors_in_their_places():
    results = reader.results_of([FILES["420"], b"", FILES["gray"]])
    assert [type(result).__name__ for result in results] == ["JPEGImage", "JPEGError", "JPEGImage"]


def _read_in_a_child(data: bytes, connection) -> None:
    images = read_jpegs([data] * 8, threads=3)
    connection.send(all(torch.equal(image.coefficients.y, images[0].coefficients.y) for image in images))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork")
def test_a_forked_child_reads_on_threads_of_its_own():
    """Helper threads stay between calls, and a child has none of its parent's."""
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        assert len(read_jpegs([FILES["420"]] * 8, threads=3)) == 8
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_read_in_a_child, args=(FILES["420"], there))
        child.start()
        assert here.poll(30)
        assert here.recv()
        child.join(10)
        assert child.exitcode == 0


def test_many_callers_share_the_helpers():
    """Calls from several Python threads at a time, each with more threads than files."""
    expected = read_jpeg(FILES["444"]).coefficients.y
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(read_jpegs, [FILES["444"]] * count, threads=5) for count in (1, 2, 3, 9) * 25]
    for call in calls:
        assert all(torch.equal(image.coefficients.y, expected) for image in call.result())
