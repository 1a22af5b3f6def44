"""The packed store: what it keeps exactly, how far int8 is off, and that it is a data set like the folder it was made of."""

import io
import json
import multiprocessing
import os
import pickle
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.bands import bands_of
from dctnet.coefficients import Coefficients
from dctnet.data.folder import DataError, JPEGFolder
from dctnet.data.keyed_sampling import SampleKey
from dctnet.data.module import DCTDataModule
from dctnet.data.pack import pack
from dctnet.data.store import StoreFolder
from dctnet.data.store_format import TABLE, Layout, quantise
from dctnet.data.torch_loader import KeyedLoader
from dctnet.jpeg.pixels import to_pixels
from dctnet.jpeg.reader import read_jpeg
from dctnet.transforms.compose import Compose
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.functional import resize
from dctnet.transforms.geometric import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, Resize
from dctnet.transforms.normalize import Normalize

TRANSFORM = Compose([RandomResizedCrop(32, scale=(0.3, 1.0)), RandomHorizontalFlip(0.5)], block_size=8)
MEANS = [list(range(n)) for n in (16, 4, 4)]
STDS = [[0.5 + k for k in range(n)] for n in (16, 4, 4)]
ODD_NAME = "a\nb ü " + os.fsdecode(b"\xff") + ".jpg"


def picture(seed: int, height: int, width: int, mode: str = "RGB", **options) -> bytes:
    """A smooth random JPEG with some noise."""
    rng = np.random.default_rng(seed)
    bands = len(Image.new(mode, (1, 1)).getbands())
    small = rng.integers(0, 256, (6, 7, bands), dtype=np.uint8).squeeze()
    large = np.asarray(Image.fromarray(small, mode).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    file = io.BytesIO()
    pixels = np.clip(large + rng.normal(0, 6, large.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels, mode).save(file, "JPEG", **{"quality": 80, **options})
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes; every kind of file that the reader knows, 1x1 pictures, and a name no editor likes."""
    root = tmp_path_factory.mktemp("pictures")
    kinds = {
        "420": picture(0, 70, 101),
        "444": picture(1, 64, 50, subsampling=0),
        "422": picture(2, 45, 90, subsampling=1),
        "gray": picture(3, 61, 83, "L"),
        "cmyk": picture(4, 40, 40, "CMYK"),
        "one": picture(5, 1, 1),
        "one_gray": picture(6, 1, 1, "L"),
        "progressive": picture(7, 90, 64, progressive=True),
        "coarse": picture(8, 88, 99, quality=5),
        "fine": picture(9, 88, 99, quality=100, subsampling=0),
    }
    for number, (name, data) in enumerate(kinds.items()):
        (root / "bac"[number % 3]).mkdir(exist_ok=True)
        (root / "bac"[number % 3] / f"{name}.jpg").write_bytes(data)
    (root / "a" / ODD_NAME).write_bytes(picture(10, 50, 60))
    return root


@pytest.fixture(scope="module")
def exact(folder, tmp_path_factory):
    """All of it: every band, int16, four records a shard."""
    store = tmp_path_factory.mktemp("exact") / "store"
    pack(str(folder), store, bands=None, dtype="int16", shard_size=4)
    return store


def test_int16_with_all_bands_is_what_the_reader_reads(folder, exact):
    files, store = JPEGFolder(folder), StoreFolder(exact)
    assert len(store) == len(files) == 11 and store.classes == files.classes == ["a", "b", "c"]
    for index in range(len(files)):
        image, truth = store.image(index), read_jpeg(files.path(index))
        assert image.grid == truth.grid
        assert store.label(index) == files.label(index)
        assert os.path.relpath(store.path(index), exact) == os.path.relpath(files.path(index), folder)
        for plane, other in zip(image.coefficients, truth.coefficients, strict=True):
            assert plane.dtype == torch.int16 and torch.equal(plane, other)


def test_a_store_draws_the_samples_that_the_folder_draws(folder, exact):
    files, store = JPEGFolder(folder, TRANSFORM, seed=3), StoreFolder(exact, TRANSFORM, seed=3)
    for key in (SampleKey(0, 4), SampleKey(5, 4), SampleKey(2, 10)):
        (left, label), (right, other) = files[key], store[key]
        assert label == other
        assert all(torch.equal(p, q) for p, q in zip(left, right, strict=True))


def test_the_bytes_lie_where_the_layout_says(exact, folder):
    """Read with nothing but numpy and json, by the words of the docstring."""
    index = json.loads((exact / "index.json").read_text())
    assert [shard["records"] for shard in index["shards"]] == [4, 4, 3]
    rest = {key: index[key] for key in index if key != "crc"}
    assert zlib.crc32(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()) == index["crc"]
    files, seen = JPEGFolder(folder), 0
    for shard in index["shards"]:
        table = np.load(exact / f"{shard['name']}.npy", allow_pickle=False)
        data = (exact / f"{shard['name']}.bin").read_bytes()
        assert (
            len(data) == shard["bytes"]
            and zlib.crc32((exact / f"{shard['name']}.npy").read_bytes()) == shard["table_crc"]
        )
        for row in table:
            record = data[row["offset"] : row["offset"] + row["length"]]
            assert row["offset"] % 64 == 0 and zlib.crc32(record) == row["crc"]
            y = read_jpeg(files.path(seen)).coefficients.y
            rows, columns = y.shape[1:]
            values = np.frombuffer(record, "<i2", rows * columns * 64, 4 * 192).reshape(rows, columns, 64)
            assert np.array_equal(values, y.movedim(0, -1).numpy())
            assert record[len(record) - row["name"] :] == os.fsencode(os.path.relpath(files.path(seen), folder))
            seen += 1
    assert seen == 11


@pytest.mark.parametrize("bands", [24, None])
def test_int8_is_off_by_half_a_scale_at_most_and_exact_where_the_steps_fit(folder, tmp_path, bands):
    pack(str(folder), tmp_path / "store", bands=bands, dtype="int8")
    files, store = JPEGFolder(folder), StoreFolder(tmp_path / "store")
    kept, exact = bands_of(bands), 0
    for index in range(len(files)):
        truth, record = read_jpeg(files.path(index)), store.record(index)
        image = store.image(index)
        for number in range(3):
            plane, full = image.coefficients[number], truth.coefficients[number].float()
            scales = torch.from_numpy(record.scales[number].copy())
            own = list(kept[number])
            error = (plane[own] - full[own]).abs().amax((1, 2))
            assert (error <= scales / 2 * (1 + 1e-5)).all()
            others = [band for band in range(64) if band not in own]
            assert not plane[others].any()
            if number < len(truth.quantization):
                fits = full[own].abs().amax((1, 2)) <= 127 * truth.quantization[number][own].float()
                assert (error[fits] == 0).all()
                exact += int(fits.sum())
    assert exact > 100


def test_int8_of_a_photograph_is_a_fraction_of_a_gray_level_off(tmp_path):
    """A law of quantisation: a band with scale s is off by s / sqrt(12) RMS, and pixels by the same in all (Parseval)."""
    rng = np.random.default_rng(0)
    plane = rng.laplace(0, 1, (60, 80, 16)) * np.linspace(300, 5, 16)
    values, scales = quantise(plane.astype(np.float32), None, "int8")
    rms = np.sqrt(((values * scales - plane) ** 2).mean((0, 1)))
    assert np.allclose(rms, scales / np.sqrt(12), rtol=0.05)
    fine, steps = quantise(plane.astype(np.float32), None, "int16")
    assert np.abs(fine * steps - plane).max() < 0.1


def test_resizing_happens_once_and_shrinks_only(folder, tmp_path):
    pack(str(folder), tmp_path / "store", bands=None, dtype="int16", resize=48)
    files, store = JPEGFolder(folder), StoreFolder(tmp_path / "store")
    shrunk = 0
    for index in range(len(files)):
        truth, image = read_jpeg(files.path(index)), store.image(index)
        if min(truth.size) <= 48:
            assert image.grid == truth.grid
            assert all((p == q).all() for p, q in zip(image.coefficients, truth.coefficients, strict=True))
            continue
        shrunk += 1
        wanted = resize(truth.coefficients, 48, grid=truth.grid)
        assert min(image.grid.size) == 48
        for plane, other in zip(image.coefficients, wanted, strict=True):
            assert plane.shape == other.shape and (plane - other).abs().max() < 0.1
        again = Compose([Resize(48), CenterCrop(48)])
        assert (again(image).y - again(truth).y).abs().max() < 0.2
    assert shrunk == 7


def test_the_loader_reads_a_store(folder, exact):
    left = KeyedLoader(JPEGFolder(folder, TRANSFORM, seed=1), 4, shuffle=True, seed=1, max_broken=0)
    with pytest.warns(UserWarning, match="1 of 11 files were read through pixels"):
        truth = list(left)
    for workers in (0, 2):
        got = list(
            KeyedLoader(StoreFolder(exact, TRANSFORM, seed=1), 4, shuffle=True, seed=1, workers=workers, max_broken=0)
        )
        for a, b in zip(truth, got, strict=True):
            assert torch.equal(a.labels, b.labels) and torch.equal(a.indices, b.indices)
            assert all(torch.allclose(p, q, atol=1e-3) for p, q in zip(a.coefficients, b.coefficients, strict=True))


BATCHED = {
    "crop and flip": Compose([RandomResizedCrop(32, scale=(0.3, 1.0)), RandomHorizontalFlip(0.5)]),
    "blocks": Compose([Resize(40), CenterCrop(32)], block_size=(4, 2)),
    "normalised": Compose([RandomResizedCrop(40), Normalize([range(64)] * 3, [[2.0] * 64] * 3)]),
    "selected": Compose([RandomResizedCrop(32), RandomHorizontalFlip(1), SelectBands(24), Normalize(MEANS, STDS)]),
    "two operators": Compose([RandomResizedCrop(32), SelectBands(24)], dtype=torch.float64),
    "a function": lambda image, generator: resize(image.coefficients, (24, 32), grid=image.grid),
}


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_a_batch_is_what_its_samples_are(folder, tmp_path, name, dtype):
    """Through all 64 bands in float32, one picture at a time, by the general transforms."""
    pack(str(folder), tmp_path / "store", bands=24, dtype=dtype)
    store = StoreFolder(tmp_path / "store", BATCHED[name], seed=7)
    keys = [SampleKey(3, index) for index in (5, 1, 10, 7, 0, 9, 2)]
    batch = store.load_batch(keys)
    assert batch.planned == 7 and batch.indices.tolist() == [5, 1, 10, 7, 0, 9, 2] and not batch.broken
    assert batch.labels.tolist() == [store.label(key.index) for key in keys]
    for place, key in enumerate(keys):
        for plane, truth in zip(batch.coefficients, store.sample(key).coefficients, strict=True):
            assert plane.dtype == truth.dtype and plane[place].shape == truth.shape
            assert (plane[place] - truth).abs().max() < 1e-3


def test_a_batch_of_pictures_of_different_sizes_says_what_to_do(exact):
    for transform in (None, Compose([Resize(16)])):
        with pytest.raises(ValueError, match="Resize or crop the pictures to one size first"):
            StoreFolder(exact, transform).load_batch([SampleKey(0, index) for index in range(4)])


def first_plane(store: StoreFolder, results) -> None:
    results.put(store.image(0).coefficients.y.numpy())


def test_a_store_goes_to_another_process_as_its_path(exact):
    store = StoreFolder(exact)
    store.image(0)
    assert len(pickle.dumps(store)) < 2000
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=first_plane, args=(store, results))
    process.start()
    assert np.array_equal(results.get(timeout=60), store.image(0).coefficients.y.numpy())
    process.join()


def test_classes_are_those_of_training(exact):
    store = StoreFolder(exact, classes=["x", "c", "b", "a"])
    assert [store.label(index) for index in (0, 5, 10)] == [3, 2, 1]
    with pytest.raises(DataError, match="none of the training set: c"):
        StoreFolder(exact, classes=["a", "b"])


def test_the_data_module_opens_a_store_and_says_which_loader(folder, tmp_path):
    for split in ("train", "val"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / split).symlink_to(folder)
    pack(str(tmp_path / "data"), tmp_path / "store", bands=24)
    module = DCTDataModule(str(tmp_path / "store"), image_size=32, batch_size=4, workers=0, loader="store")
    assert module.classes == ["a", "b", "c"] and len(module.train_set) == 11
    batch = next(iter(module.train_dataloader()))
    assert batch.coefficients.y.shape == (4, 64, 4, 4) and isinstance(batch.coefficients, Coefficients)
    with pytest.raises(DataError, match=r"is a packed store; read it with --data.loader store"):
        _ = DCTDataModule(str(tmp_path / "store"), image_size=32).classes
    with pytest.raises(DataError, match=r"is not a packed store.*make one with `dctnet pack FOLDER"):
        _ = DCTDataModule(str(tmp_path / "data"), image_size=32, loader="store").train_set
    with pytest.raises(ValueError, match="loader is torch"):
        DCTDataModule(str(tmp_path / "store"), loader="parquet")


def test_pixels_of_a_store_are_those_of_the_files(folder, exact):
    files, store = JPEGFolder(folder), StoreFolder(exact)
    for index in (0, 3, 7):
        assert torch.equal(to_pixels(store.image(index)), to_pixels(read_jpeg(files.path(index))))


@pytest.mark.parametrize(
    "bands,dtype,resize,message",
    [(24, "float16", None, "int8 or int16; got dtype 'float16'"), (24, "int8", 4, "from 8 to 65535 pixels; got 4")],
)
def test_settings_that_no_store_has(bands, dtype, resize, message):
    with pytest.raises(ValueError, match=message):
        Layout(bands_of(bands), dtype, resize)


def test_an_index_out_of_range(exact):
    with pytest.raises(IndexError, match="has 11 records; there is no record 11"):
        StoreFolder(exact).image(11)


def test_a_row_has_the_size_the_docstring_promises():
    names = "offset length crc name label height width sampling"
    assert TABLE.itemsize == 38 and " ".join(TABLE.names) == names


def test_a_store_of_real_photographs_is_smaller_than_its_files(real_data, tmp_path):
    (tmp_path / "real" / "all").mkdir(parents=True)
    size = 0
    for path in sorted((real_data / "imagenet_samples").glob("*.jpg"))[:24]:
        (tmp_path / "real" / "all" / path.name).symlink_to(path)
        size += path.stat().st_size
    pack(str(tmp_path / "real"), tmp_path / "store", bands=24, resize=256)
    assert sum(path.stat().st_size for path in (tmp_path / "store").iterdir()) < size / 2
