"""The loader: one stream of samples for any number of workers and ranks, after resuming, and around broken files."""

import csv
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.data.dali_loader import DALILoader
from dctnet.data.folder import DataError, JPEGFolder
from dctnet.data.module import DCTDataModule
from dctnet.data.torch_loader import KeyedLoader, collate
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.reader import read_jpeg
from dctnet.transforms.compose import Compose
from dctnet.transforms.erasing import RandomErasing
from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop

TRANSFORM = Compose([RandomResizedCrop(32, scale=(0.3, 1.0)), RandomHorizontalFlip(0.5)], block_size=8)
COUNT, BROKEN = 26, (3, 17)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two classes of 13 files of different sizes; none is broken."""
    root = tmp_path_factory.mktemp("loader")
    for index in range(COUNT):
        path = root / f"class{index % 2}" / f"{index:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (40 + index, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=70)
    return root


@pytest.fixture(scope="module")
def damaged(root, tmp_path_factory):
    """The same folder with the files 3 and 17 (in order of the data set) cut short."""
    folder = JPEGFolder(root)
    copy = tmp_path_factory.mktemp("damaged")
    for index in range(COUNT):
        source = Path(folder.path(index))
        data = source.read_bytes()
        path = copy / source.parent.name / source.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data[: len(data) // 3] if index in BROKEN else data)
    return copy


def loader(root, batch_size=8, **options):
    return KeyedLoader(JPEGFolder(root, TRANSFORM, seed=1), batch_size, **{"shuffle": True, "seed": 1, **options})


def stream(batches):
    """[(index, label, coefficients)] in the order of the batches."""
    return [
        (index, label, tuple(plane[row] for plane in batch.coefficients))
        for batch in batches
        if batch.coefficients is not None
        for row, (index, label) in enumerate(zip(batch.indices.tolist(), batch.labels.tolist(), strict=True))
    ]


def assert_same(left, right):
    assert [(i, label) for i, label, _ in left] == [(i, label) for i, label, _ in right]
    for (_, _, a), (_, _, b) in zip(left, right, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def test_workers_change_no_sample(root):
    alone, helped = loader(root), loader(root, workers=2)
    for _ in range(2):  # two epochs, workers persistent
        left, right = stream(alone), stream(helped)
        assert_same(left, right)
    assert alone.state_dict() == helped.state_dict() == {"epoch": 1, "batch": 4}


def test_ranks_change_no_sample(root):
    whole = loader(root, drop_last=True)
    parts = [loader(root, drop_last=True, rank=rank, ranks=2) for rank in range(2)]
    for batch, *shares in zip(whole, *parts, strict=True):
        together = sorted(stream(shares), key=lambda item: item[0])
        assert_same(sorted(stream([batch]), key=lambda item: item[0]), together)
        assert [share.planned for share in shares] == [4, 4]


def test_validation_sees_each_file_once_on_three_ranks(root):
    parts = [loader(root, 9, shuffle=False, rank=rank, ranks=3) for rank in range(3)]
    counts = [[batch.planned for batch in part] for part in parts]
    assert [sum(step) for step in zip(*counts, strict=True)] == [9, 9, 8]
    indices = [i for part in parts for i, _, _ in stream(part)]
    assert sorted(indices) == list(range(COUNT))


def test_a_rank_without_samples_gets_an_empty_batch(root):
    last = list(loader(root, 24, shuffle=False, rank=3, ranks=4))[-1]  # 26 = 24 + 2: the ranks 2 and 3 get none
    assert last.planned == 0 and last.coefficients is None and last.labels.shape == (0,)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("used", [1, 2, 4])
def test_resuming_goes_on_with_the_next_sample(root, workers, used):
    straight = loader(root)
    epochs = [list(straight), list(straight)]
    first = loader(root, workers=workers)
    iterator = iter(first)
    for _ in range(used):
        next(iterator)
    state = first.state_dict()
    assert state == {"epoch": 0, "batch": used}
    second = loader(root, workers=workers)
    unused = iter(second)  # Lightning makes an iterator before it loads the state
    second.load_state_dict(state)
    second.batch_sampler.sampler.set_epoch(0 if used < 4 else 1)
    rest = list(unused)
    assert_same(stream(rest), stream(epochs[0][used:] if used < 4 else epochs[1]))
    assert len(second) == 4
    if used < 4:
        assert_same(stream(second), stream(epochs[1]))


def test_memory_is_channels_last(root):
    for batch in loader(root, workers=2):
        assert all(plane.is_contiguous(memory_format=torch.channels_last) for plane in batch.coefficients)


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_left_out_counted_and_named_once(root, damaged, workers):
    tolerant = loader(damaged, workers=workers, max_broken=0.1)
    with pytest.warns(UserWarning, match=r"2 of 26 files could not be read, left out: .*\.jpg") as caught:
        batches = list(tolerant)
    assert len(caught) == 1
    names = {broken.path for batch in batches for broken in batch.broken}
    folder = JPEGFolder(damaged)
    assert names == {folder.path(index) for index in BROKEN}
    assert all(name in str(caught[0].message) for name in names)
    assert [batch.planned for batch in batches] == [8, 8, 8, 2]
    whole = stream(loader(root))
    assert_same(stream(batches), [item for item in whole if item[0] not in BROKEN])  # all others as without them
    list(tolerant)  # the second epoch names nobody again: a warning would be an error here


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_broken_files_stop_the_run(damaged, workers):
    with pytest.raises(
        DataError,
        match=r"2 of 26 files .* more than the share of 0.05 allowed: .*\.jpg.*Remove or repair .* raise --data.max_broken",
    ):
        list(loader(damaged, workers=workers, max_broken=0.05))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_list_names_every_broken_file_once_with_its_byte(damaged, tmp_path, workers):
    many = tmp_path / "data" / "a"
    many.mkdir(parents=True)
    folder = JPEGFolder(damaged)
    for number in range(14):
        source = Path(folder.path(BROKEN[0] if number < 12 else 0))
        (many / f"{number:02d}.jpg").write_bytes(source.read_bytes())
    target = tmp_path / "run" / "broken.csv"
    for _ in range(2):  # a resumed run adds nothing
        with pytest.warns(UserWarning, match=r"; and 2 more; all found so far are named in .*broken\.csv"):
            list(loader(tmp_path / "data", 4, workers=workers, max_broken=1.0, broken_list=target))
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["path"] for row in rows) == [str(many / f"{number:02d}.jpg") for number in range(12)]
    with pytest.raises(JPEGError) as caught:
        read_jpeg(rows[0]["path"])
    assert {row["reason"] for row in rows} == {f"byte {caught.value.offset}: {caught.value.reason}"}


def test_the_list_holds_the_files_that_stopped_the_run(damaged, tmp_path):
    with pytest.raises(DataError, match=r"named in .*broken\.csv"):
        list(loader(damaged, max_broken=0.05, broken_list=tmp_path / "broken.csv"))
    assert len((tmp_path / "broken.csv").read_text().splitlines()) == 1 + len(BROKEN)


@pytest.mark.parametrize("workers", [0, 2])
def test_files_read_through_pixels_are_counted_over_workers(tmp_path, workers):
    (tmp_path / "a").mkdir()
    for number in range(6):
        Image.new("RGB", (40, 40)).save(tmp_path / "a" / f"{number}.jpg", "PNG" if number < 4 else "JPEG")
    batches = loader(tmp_path, 2, workers=workers)
    with pytest.warns(
        UserWarning, match=r"4 of 6 files were read through pixels, slower and rounded: .*\.jpg \("
    ) as caught:
        seen = [file.path for batch in batches for file in batch.through_pixels]
    assert len(caught) == 1  # not one a worker, too
    assert sorted(seen) == [str(tmp_path / "a" / f"{number}.jpg") for number in range(4)]
    list(batches)  # named once


@pytest.mark.parametrize(
    "wrong", [{"workers": -1}, {"batch_size": 0}, {"max_broken": -0.1}, {"max_broken": 1.1}, {"prefetch": 0}]
)
def test_numbers_out_of_range(root, wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is a .*got {wrong[name]}"):
        loader(root, **wrong)
    with pytest.raises(ValueError, match=f"{name} is a .*got {wrong[name]}"):
        DCTDataModule(str(root), **wrong)


def test_workers_are_threads_where_cpp_makes_the_batches_else_processes(root):
    """The same batches either way; no thread outlives a pass, whole or given up."""
    pixels = Compose([*TRANSFORM.transforms, RandomErasing(1.0, value=128)], block_size=8)
    for transform, processes in ((TRANSFORM, 0), (pixels, 2)):
        data = JPEGFolder(root, transform, seed=1)
        alone, shared = (KeyedLoader(data, 4, shuffle=True, seed=1, workers=workers) for workers in (0, 2))
        assert shared.num_workers == processes
        for one, other in zip(alone, shared, strict=True):
            assert torch.equal(one.indices, other.indices)
            assert all(torch.equal(p, q) for p, q in zip(one.coefficients, other.coefficients, strict=True))
    iterator = iter(loader(root, workers=2))
    next(iterator)
    iterator.close()
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("dctnet-worker")]:
        thread.join(30)
        assert not thread.is_alive()


def test_a_batch_of_which_nothing_is_left(damaged):
    empty = [b for b in loader(damaged, 1, shuffle=False, max_broken=1.0, report=False) if b.coefficients is None]
    assert [(batch.planned, len(batch.broken), batch.indices.numel()) for batch in empty] == [(1, 1, 0)] * 2
    assert collate([]).planned == 0


def test_files_of_different_sizes_need_a_transform(root):
    with pytest.raises(ValueError, match="a batch needs samples of one shape"):
        list(KeyedLoader(JPEGFolder(root), 4))


def test_the_global_generator_is_left_alone(root):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    list(loader(root, workers=2))
    assert torch.equal(torch.rand(3), expected)


def test_a_class_folder_may_be_a_link(root, tmp_path):
    (tmp_path / "class0").symlink_to(root / "class0", target_is_directory=True)
    assert len(JPEGFolder(tmp_path)) == COUNT // 2


def test_without_dali_the_error_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    for build in (
        lambda: DALILoader(JPEGFolder(root, TRANSFORM), 4),
        lambda: DCTDataModule(str(root.parent), loader="dali")._loader(JPEGFolder(root, TRANSFORM)),
    ):
        with pytest.raises(DataError, match=r'pip install "dctnet\[dali\]".*--data.loader torch'):
            build()
    with pytest.raises(ValueError, match="loader is torch, dali or store; got 'rgb'"):
        DCTDataModule(str(root), loader="rgb")
