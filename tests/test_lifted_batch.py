"""Batches made in C++, against the lifted transforms in float64 and against torchvision on float64 pixels."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as pixel

from dctnet import dct
from dctnet.bands import bands_of
from dctnet.coefficients import Coefficients, grid_420
from dctnet.data.batch import collate, load_item
from dctnet.data.folder import FileList, JPEGFolder
from dctnet.data.keyed_sampling import SampleKey, sample_generator
from dctnet.data.lifted_batch import FILES_AT_ONCE, Lifting, load_files
from dctnet.data.torch_loader import KeyedLoader
from dctnet.jpeg import _native
from dctnet.jpeg.image import JPEGImage
from dctnet.jpeg.reader import read_jpeg
from dctnet.resampling import Resampling, compose, resample, resampling
from dctnet.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    GaussianBlur,
    GaussianNoise,
    Normalize,
    Pad,
    RandomAffine,
    RandomApply,
    RandomChoice,
    RandomCrop,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Reblock,
    Resize,
    SelectBands,
)
from dctnet.transforms.photometric import Photometric
from dctnet.transforms.separable import box_to_size

ATOL = 1e-3  # gray levels


def jpeg(size, subsampling=2, mode="RGB", seed=0, **options):
    """The bytes of a picture of noise on a ramp."""
    height, width = size
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, width)[None, :, None] + np.zeros((height, 1, 1))
    pixels = (ramp + random.integers(0, 56, (height, width, 3))).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(
        file, "JPEG", quality=92, **({"subsampling": subsampling} if mode == "RGB" else {}), **options
    )
    return file.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of every sampling and odd sizes."""
    folder = tmp_path_factory.mktemp("files")
    kinds = [((97, 131), 0), ((120, 75), 1), ((113, 88), 2), ((64, 64), 2), ((51, 203), 2)]
    for number, (size, subsampling) in enumerate(kinds):
        (folder / f"{number}.jpg").write_bytes(jpeg(size, subsampling, seed=number))
    (folder / "5.jpg").write_bytes(jpeg((90, 77), mode="L"))
    (folder / "6.jpg").write_bytes(jpeg((70, 99), progressive=True))
    return [str(folder / f"{number}.jpg") for number in range(7)]


def truth(dataset, key):
    """The sample in float64, through torch."""
    image = read_jpeg(dataset.path(key.index))
    double = JPEGImage(image.coefficients.to(torch.float64), *(getattr(image, n) for n in JPEGImage.__slots__[1:]))
    transform = Compose(dataset.transform.transforms, dataset.transform.block_size)
    return transform(double, generator=sample_generator(dataset.seed, key))


def assert_true(dataset, batch, keys, atol=ATOL, rtol=0.0):
    assert batch.indices.tolist() == [key.index for key in keys]
    for row, key in enumerate(keys):
        for ours, theirs in zip(batch.coefficients, truth(dataset, key), strict=True):
            torch.testing.assert_close(ours[row].to(torch.float64), theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize("block_size", [1, 2, 4, 8, 16, 32, (8, 4), (4, 8)])
@pytest.mark.parametrize(("target", "threads"), [(32, 1), ((64, 96), 2)])
def test_a_batch_is_the_samples_in_float64(files, block_size, target, threads):
    """Sizes and samplings mixed, downscaling and upscaling, mirrored or not."""
    chain = [RandomResizedCrop(target, scale=(0.05, 1.0)), RandomHorizontalFlip(0.5)]
    dataset = FileList(files, Compose(chain, block_size), seed=5)
    keys = [SampleKey(index % 2, index) for index in range(len(files))]
    assert_true(dataset, load_files(dataset, keys, threads), keys)


@pytest.mark.parametrize(
    "chain",
    [
        [Resize(71), CenterCrop(56)],  # odd offsets: chroma between its samples
        [Resize((64, 48)), RandomHorizontalFlip(1.0), CenterCrop(47)],
        [Resize((31, 33)), Reblock((16, 2))],
        [CenterCrop(40), RandomResizedCrop(24), RandomHorizontalFlip()],
    ],
    ids=str,
)
def test_longer_chains_are_reduced_too(files, chain):
    dataset = FileList(files, Compose(chain, block_size=8))
    keys = [SampleKey(1, index) for index in range(len(files))]
    assert_true(dataset, dataset.load_batch(keys), keys)


def test_luma_is_torchvisions_resized_crop(files):
    """Pixels of float64 behind the coefficients, cropped and resized by torchvision."""
    transform = Compose([RandomResizedCrop((48, 40)), RandomHorizontalFlip(0.5)], block_size=8)
    dataset = FileList(files, transform, seed=2)
    keys = [SampleKey(0, index) for index in range(len(files))]
    batch = dataset.load_batch(keys)
    for row, key in enumerate(keys):
        image, generator = read_jpeg(files[key.index]), sample_generator(2, key)
        box = transform.transforms[0].box(image.size, generator)
        pixels = dct.block_idct(image.coefficients.y.to(torch.float64))[: image.size[0], : image.size[1]]
        crop = pixel.resized_crop(pixels[None], *box, [48, 40], antialias=True)[0]
        crop = crop.flip(-1) if bool(torch.rand(1, generator=generator) < 0.5) else crop
        torch.testing.assert_close(dct.block_idct(batch.coefficients.y[row].double()), crop, rtol=0, atol=ATOL)


def vectors(*counts, seed=0):
    """Means and deviations of so many bands a plane."""
    generator = torch.Generator().manual_seed(seed)
    return [[(torch.rand(n, generator=generator) * 9 + 0.5).tolist() for n in counts] for _ in range(2)]


@pytest.mark.parametrize(
    ("bands", "order"),
    [
        (6, "select"),
        (24, "select, normalize"),
        (48, "normalize, select"),
        ([[0, 9, 63], [5], [1, 2, 62]], "select, normalize"),
    ],
)
def test_bands_and_their_statistics(files, bands, order):
    kept = bands_of(bands)
    tails = {
        "select": [SelectBands(bands)],
        "select, normalize": [SelectBands(bands), Normalize(*vectors(*map(len, kept)))],
        "normalize, select": [Normalize(*vectors(64, 64, 64)), SelectBands(bands)],
    }
    dataset = FileList(files, Compose([RandomResizedCrop(40), *tails[order]], block_size=8))
    keys = [SampleKey(0, index) for index in range(len(files))]
    batch = dataset.load_batch(keys)
    assert [plane.shape[1] for plane in batch.coefficients] == [len(plane) for plane in kept]
    assert all(plane.is_contiguous(memory_format=torch.channels_last) for plane in batch.coefficients)
    assert_true(dataset, batch, keys)


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float16, 2**-11), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize("block_size", [8, 1])
def test_half_precision_is_the_rounding_of_the_truth(files, dtype, rounding, block_size):
    dataset = FileList(files, Compose([RandomResizedCrop(33)], block_size, dtype))
    keys = [SampleKey(0, index) for index in range(len(files))]
    batch = dataset.load_batch(keys)
    assert batch.coefficients.y.dtype == dtype and dataset[0][0].y.dtype == dtype
    assert_true(dataset, batch, keys, rtol=rounding)


def test_float16_rounds_as_torch_does():
    """Every kind of value: ties, subnormal results, overflow; through a lifting that changes nothing."""
    values = torch.cat([torch.arange(-20000, 20000), torch.tensor([32767, -32768])]).to(torch.int16)
    for scale in (1.0, 1.03125, 1.7e-7, 3.0):
        for dtype in (torch.float16, torch.bfloat16):
            planes = values[: len(values) // 64 * 64].view(1, -1, 64).numpy()
            columns = planes.shape[1]
            axis, row = resampling(columns * 8, columns * 8, 0, 1), resampling(8, 8, 0, 1)
            out = {}
            for kind in (torch.float32, dtype):
                out[kind] = torch.empty(1, 1, columns, 64, dtype=kind)
                format = _native.PlaneFormat(list(range(64)), [scale] * 64, 8, list(range(64)), [], [])
                picture = [planes, planes[:, :1], planes[:, :1]]
                outputs = [out[kind]] + [torch.empty(1, 1, 1, 64, dtype=kind) for _ in range(2)]
                _native.lift_planes([picture], [((row,) * 3, (axis, row, row))], [format] * 3, outputs, 1)
            assert torch.equal(out[dtype], out[torch.float32].to(dtype))


@pytest.mark.parametrize(
    ("bands", "integer", "threads"),
    [(24, np.int8, 1), (24, np.int16, 2), (192, np.int8, 2), ([[0, 3, 17, 40], [0, 1], [0, 8]], np.int8, 1)],
)
def test_planes_of_a_store(bands, integer, threads):
    """Few bands, scaled: the same as the planes with all bands, of which the others are zero."""
    bands = bands_of(bands)
    random = np.random.default_rng(3)
    scale = [random.uniform(0.5, 4, len(plane)).tolist() for plane in bands]
    transform = Compose([RandomResizedCrop(56), RandomHorizontalFlip(), SelectBands(bands)], block_size=8)
    reduced = transform.reduced()
    lifting = Lifting(reduced, torch.float32, bands, scale)
    pictures, operators, truths = [], [], []
    for number, size in enumerate([(85, 64), (64, 113), (64, 64), (77, 200)]):
        grid, generator = grid_420(size), torch.Generator().manual_seed(number)
        shapes = [[-(-n // 8) for n in grid.samples(plane)] for plane in range(3)]
        planes = [random.integers(-127, 128, (*shape, len(b)), integer) for shape, b in zip(shapes, bands, strict=True)]
        pictures.append(planes)
        operators.append(reduced.operators(grid, generator))
        whole = [torch.zeros(*shape, 64, dtype=torch.float64) for shape in shapes]
        for full, plane, channels, factor in zip(whole, planes, bands, scale, strict=True):
            full[..., list(channels)] = torch.from_numpy(plane).double() * torch.tensor(factor).double()
        image = JPEGImage(
            Coefficients(*(full.movedim(-1, 0) for full in whole)), size, ((2, 2), (1, 1), (1, 1)), None, *[None] * 4
        )
        truths.append(transform(image, generator=torch.Generator().manual_seed(number)))
    outputs = lifting.outputs(len(pictures), (56, 56))
    _native.lift_planes(pictures, operators, lifting.formats, outputs, threads)
    for plane, output in enumerate(outputs):
        for row, expected in enumerate(truths):
            torch.testing.assert_close(output[row].movedim(-1, 0).double(), expected[plane], rtol=0, atol=ATOL)


@pytest.fixture
def mixed(tmp_path):
    """Small whole files, one cut short, one of CMYK, one PNG, one that is no picture, more than are held at once."""
    (tmp_path / "a").mkdir()
    for number in range(FILES_AT_ONCE + 9):
        path = tmp_path / "a" / f"{number:02d}.jpg"
        data = jpeg((30 + number, 40), seed=number)
        path.write_bytes(data[: len(data) * 2 // 3] if number == 3 else b"nothing" if number == 7 else data)
        if number in (5, FILES_AT_ONCE + 2):
            Image.new("CMYK", (60, 50), (9, 80, 10, 0)).save(path, "JPEG")
    return tmp_path


@pytest.mark.parametrize("after", [[], [RandomRotation(30), ColorJitter(0.4, 0.4), SelectBands(24)]], ids=str)
def test_broken_files_and_other_kinds_are_as_one_by_one(mixed, after):
    dataset = JPEGFolder(mixed, Compose([RandomResizedCrop(32), *after], block_size=8), seed=4)
    keys = [SampleKey(2, index) for index in range(len(dataset))]
    batch, single = dataset.load_batch(keys), collate([load_item(dataset, key) for key in keys])
    assert [Path(broken.path).name for broken in batch.broken] == ["03.jpg", "07.jpg"]
    assert [Path(file.path).name for file in batch.through_pixels] == ["05.jpg", f"{FILES_AT_ONCE + 2}.jpg"]
    assert batch.broken == single.broken and batch.through_pixels == single.through_pixels
    assert batch.planned == single.planned == len(keys)
    assert torch.equal(batch.indices, single.indices) and torch.equal(batch.labels, single.labels)
    for ours, theirs in zip(batch.coefficients, single.coefficients, strict=True):
        assert ours.stride() == theirs.stride()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=5 * ATOL if after else ATOL)
    broken = dataset.load_batch([SampleKey(0, 3), SampleKey(0, 7)])
    assert broken.coefficients is None and len(broken.broken) == broken.planned == 2


def test_files_that_vanish_are_named(mixed):
    dataset = JPEGFolder(mixed, Compose([RandomResizedCrop(32)], block_size=8))
    Path(dataset.path(1)).unlink()
    batch = dataset.load_batch([SampleKey(0, 0), SampleKey(0, 1)])
    assert batch.broken == ((dataset.path(1), "No such file or directory"),) and batch.indices.tolist() == [0]


@pytest.mark.parametrize(
    "after",
    [
        [RandomRotation(30, fill=9), RandomVerticalFlip()],
        [RandomApply([Pad(4), RandomCrop(31)]), GaussianNoise(sigma=3.0), CenterCrop(31)],
        [RandomChoice([ColorJitter(0.5, 0.5, 0.5, 0.2), GaussianBlur(5)]), Reblock(4), RandomAffine(10, (0.1, 0.1))],
        [RandomGrayscale(0.5), Normalize([[3.0] * 64] * 3, [[2.0] * 64] * 3), SelectBands(24)],
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "front", [[RandomResizedCrop(31), RandomHorizontalFlip()], [Resize(40), RandomResizedCrop((31, 31))]]
)
def test_what_follows_a_crop_goes_on_from_there(files, front, after):
    """Of a chain that is more than one operator: the same draws, the values of each picture through all of it in float64."""
    dataset = FileList(files, Compose([*front, *after], 8), seed=3)
    keys = [SampleKey(index % 2, index) for index in range(len(files))]
    batch = dataset.load_batch(keys)
    assert_true(dataset, batch, keys, atol=2e-2)
    assert type(batch.coefficients) is type(dataset.sample(keys[0]).coefficients)


def test_pictures_of_many_sizes_after_a_crop_are_refused(files):
    dataset = FileList(files, Compose([CenterCrop(32), RandomApply([Resize(24)])], 8), seed=3)
    with pytest.raises(ValueError, match="a batch needs samples of one shape; got 2 different ones"):
        dataset.load_batch([SampleKey(0, index) for index in range(len(files))])


def test_what_is_not_one_operator_is_loaded_one_by_one(files):
    class Double(Photometric):
        def apply(self, coefficients, parameters, size):
            return coefficients.map(lambda plane: plane * 2)

    assert Compose([Double(), CenterCrop(32)], 8).reduced() is None
    dataset = FileList(files, Compose([Double(), CenterCrop(32)], 8))
    keys = [SampleKey(0, index) for index in range(3)]
    batch, single = dataset.load_batch(keys), collate([load_item(dataset, key) for key in keys])
    assert all(torch.equal(a, b) for a, b in zip(batch.coefficients, single.coefficients, strict=True))
    read = FileList(files, Compose([CenterCrop(32)], 8), read=lambda path: read_jpeg(files[0]))
    first = read.load_batch([SampleKey(0, 0), SampleKey(0, 1)]).coefficients.y
    assert torch.equal(first[0], first[1])


def test_errors_are_those_of_single_samples(files):
    with pytest.raises(ValueError, match="a central crop of 60x60 does not fit a picture of 51x203"):
        FileList(files, Compose([CenterCrop(60)], 8)).load_batch([SampleKey(0, 3), SampleKey(0, 4)])
    with pytest.raises(ValueError, match="a batch needs samples of one shape"):
        list(KeyedLoader(FileList(files, Compose([Resize(32)], 8)), 4))
    with pytest.raises(ValueError, match="put it before SelectBands"):
        Compose([SelectBands(24), CenterCrop(32)])
    with pytest.raises(ValueError, match=r"selected from the 64 channels of 8x8 blocks; plane y has shape \(16"):
        FileList(files, Compose([CenterCrop(32), SelectBands(24)], 4)).load_batch([SampleKey(0, 0)])
    with pytest.raises(ValueError, match="coefficients become floats"):
        Compose([CenterCrop(32)], dtype=torch.int16)


def test_arguments_that_do_not_fit_are_refused():
    full = _native.PlaneFormat(list(range(64)), [], 8, list(range(64)), [], [])
    plane, axis = np.zeros((2, 3, 64), np.int16), box_to_size(grid_420((16, 24)), 0, 0, 16, 24, (16, 24))

    def lift(planes=(plane, plane[:1, :2], plane[:1, :2]), operators=axis, rows=2):
        outputs = [torch.empty(1, rows, 3, 64), torch.empty(1, 1, 2, 64), torch.empty(1, 1, 2, 64)]
        _native.lift_planes([[np.ascontiguousarray(p) for p in planes]], [operators], [full] * 3, outputs, 1)

    lift()
    broken = Resampling(16, 16, 0.0, 1.0, 0, 99)
    for wrong in (
        {"planes": (plane[:1],) * 3},
        {"planes": (plane.astype(np.float32),) * 3},
        {"planes": (plane[..., :32],) * 3},
        {"operators": ((broken,) * 3, axis.horizontal)},
        {"rows": 3},
    ):
        with pytest.raises(ValueError):
            lift(**wrong)
    for bands, block in (([1, 0], 8), ([64], 8), ([], 8), ([0], 3)):
        with pytest.raises(ValueError):
            _native.PlaneFormat(list(range(64)), [], block, bands, [], [])
    with pytest.raises(ValueError, match="float32"):
        Lifting(Compose([CenterCrop(8)], 8).reduced(), torch.float64)


@pytest.mark.parametrize("inner", [resampling(50, 40, 3.25, 1.1, 3, 47), resampling(50, 40, 46.5, -0.9, 4, 47)])
@pytest.mark.parametrize("outer", [(0, 1), (7, 1), (31, -1), (40, -1)])
def test_taking_samples_of_a_resampling_stays_in_closed_form(inner, outer):
    origin, scale = outer
    crop = resampling(40, 31, origin, scale)
    product = compose(crop, inner)
    assert isinstance(product, Resampling)
    torch.testing.assert_close(product.rows().dense(), crop.rows().dense() @ inner.rows().dense(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("outer", [(0.5, 1), (12, 1), (20, -1), (0, 2)])
def test_other_products_are_rows(outer):
    inner, crop = resampling(50, 40, 3.25, 1.1, 3, 47), resampling(40, 31, *outer)
    product = compose(crop, inner)
    assert not isinstance(product, Resampling)
    truth = crop.rows().dense() @ resample(50, 40, 3.25, 1.1, 3, 47).dense()
    torch.testing.assert_close(product.dense(), truth, rtol=0, atol=1e-12)
