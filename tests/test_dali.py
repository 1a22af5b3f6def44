"""The DALI loader: the batches, the account and the places of the torch loader; and no thread left behind."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
import torch

from dctnet.data.batch_memory import Slots
from dctnet.data.batch_reader import BatchReader
from dctnet.data.dali_loader import DALILoader, carried
from dctnet.data.folder import DataError, FileList, JPEGFolder
from dctnet.data.keyed_sampling import KeyedBatches
from dctnet.data.module import DCTDataModule
from dctnet.data.pack import pack
from dctnet.data.store import StoreFolder
from dctnet.data.torch_loader import KeyedLoader
from dctnet.data.webdataset_shards import TarFolder
from tests.test_loader import BROKEN, COUNT, TRANSFORM, damaged, root  # noqa: F401 - fixtures

pytestmark = pytest.mark.dali


def pair(folder, batch_size=8, transform=TRANSFORM, kind=JPEGFolder, device=None, **options):
    """The two loaders with the same arguments."""
    options = {"shuffle": True, "seed": 1, **options}
    data = kind(folder, transform, seed=1)
    return KeyedLoader(data, batch_size, **options), DALILoader(data, batch_size, device=device, **options)


def assert_same_batches(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one.planned == other.planned and one.broken == other.broken
        assert one.through_pixels == other.through_pixels
        assert torch.equal(one.indices, other.indices) and torch.equal(one.labels, other.labels)
        assert type(one.coefficients) is type(other.coefficients)
        for plane, expected in zip(other.coefficients or (), one.coefficients or (), strict=True):
            assert plane.shape == expected.shape and plane.dtype == torch.float32
            assert float((plane.cpu() - expected).abs().max()) < 1e-3  # gray levels


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert not [t for t in set(threading.enumerate()) - before if t.name.startswith("dctnet")]


def test_same_batches_over_epochs(root):  # noqa: F811
    left, right = pair(root)
    assert len(left) == len(right) == 4
    for _ in range(3):
        assert_same_batches(left, right)
    assert left.state_dict() == right.state_dict() == {"epoch": 2, "batch": 4}
    left.set_epoch(7)
    right.set_epoch(7)
    assert_same_batches(left, right)


@pytest.mark.parametrize("options", [{"drop_last": True}, {"pad": True}, {"shuffle": False}, {"prefetch": 1}])
def test_same_batches_on_two_ranks(root, options):  # noqa: F811
    for rank in range(2):
        assert_same_batches(*pair(root, 12, rank=rank, ranks=2, **options))


def test_a_rank_without_samples_gets_an_empty_batch(root):  # noqa: F811
    left, right = pair(root, 24, shuffle=False, rank=3, ranks=4)
    assert_same_batches(left, right)
    assert list(right)[-1].planned == 0


@pytest.mark.parametrize("used", [1, 3, 4])
def test_resuming_goes_on_with_the_next_sample(root, used):  # noqa: F811
    left, right = pair(root)
    iterator = iter(right)
    for _ in range(used):
        next(iterator)
    state = right.state_dict()
    assert state == {"epoch": 0, "batch": used}
    iterator.close()
    _, second = pair(root)
    unused = iter(second)  # Lightning makes an iterator before it loads the state
    second.load_state_dict(state)
    second.batch_sampler.sampler.set_epoch(0 if used < 4 else 1)
    epochs = [list(left), list(left)]
    assert_same_batches(epochs[0][used:] if used < 4 else epochs[1], unused)


def test_broken_files_are_left_out_counted_and_named_once(damaged, tmp_path):  # noqa: F811
    left, right = pair(damaged, max_broken=0.1, broken_list=tmp_path / "broken.csv")
    with pytest.warns(UserWarning, match=r"2 of 26 files could not be read, left out: .*\.jpg") as caught:
        batches = list(right)
    assert len(caught) == 1
    assert len((tmp_path / "broken.csv").read_text().splitlines()) == 1 + len(BROKEN)
    with pytest.warns(UserWarning, match="2 of 26 files"):
        assert_same_batches(left, batches)
    list(right)  # the second epoch names nobody again: a warning would be an error here


def test_too_many_broken_files_stop_the_run(damaged):  # noqa: F811
    _, right = pair(damaged, max_broken=0.05)
    with pytest.raises(DataError, match=r"2 of 26 files .* more than the share of 0.05 allowed"):
        list(right)


def test_batches_of_which_nothing_is_left(damaged):  # noqa: F811
    assert_same_batches(*pair(damaged, 1, shuffle=False, max_broken=1.0, report=False))


def test_a_file_that_disappears_is_a_broken_one(root, tmp_path):  # noqa: F811
    shutil.copytree(root, tmp_path / "copy")
    _, right = pair(tmp_path / "copy", 4, max_broken=0.1, shuffle=False, prefetch=1)
    iterator = iter(right)
    next(iterator)
    gone = Path(right.dataset.path(COUNT - 1))
    gone.unlink()
    with pytest.warns(UserWarning, match="No such file"):
        rest = list(iterator)
    assert [broken.path for batch in rest for broken in batch.broken] == [str(gone)]
    assert sum(len(batch.labels) for batch in rest) == COUNT - 5


def test_files_read_through_pixels_are_counted(tmp_path):
    from PIL import Image

    (tmp_path / "a").mkdir()
    for number in range(5):
        Image.new("RGB", (40, 40)).save(tmp_path / "a" / f"{number}.jpg", "PNG" if number < 2 else "JPEG")
    left, right = pair(tmp_path, 2)
    with pytest.warns(UserWarning, match="2 of 5 files were read through pixels, slower and rounded") as caught:
        batches = list(right)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="2 of 5 files"):
        assert_same_batches(left, batches)


def test_files_without_labels(root):  # noqa: F811
    paths = [path for path, _ in JPEGFolder(root).samples]
    left, right = pair(paths, kind=FileList, shuffle=False)
    assert_same_batches(left, right)
    assert next(iter(right)).labels.tolist() == [-1] * 8


def test_webdataset_tars(root, tmp_path):  # noqa: F811
    import io
    import tarfile

    folder = JPEGFolder(root)
    for shard in range(3):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as archive:
            for index in range(shard, COUNT, 3):
                path, label = folder.samples[index]
                cut = Path(path).read_bytes()[: 300 if index in BROKEN else None]
                for extension, data in (("jpg", cut), ("cls", str(label).encode())):
                    member = tarfile.TarInfo(f"{index:04d}.{extension}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    assert_same_batches(*pair(tmp_path, kind=TarFolder, max_broken=1.0, report=False))


def test_chosen_by_the_data_module(root, tmp_path):  # noqa: F811
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(root, target_is_directory=True)
    modules = [DCTDataModule(str(tmp_path), 32, batch_size=8, workers=0, loader=name) for name in ("torch", "dali")]
    for stage in ("train_dataloader", "val_dataloader", "predict_dataloader"):
        left, right = (getattr(module, stage)() for module in modules)
        assert isinstance(right, DALILoader)
        assert_same_batches(left, right)


@pytest.mark.parametrize("used", [0, 1])
def test_a_pass_given_up_early_leaves_nothing(root, used):  # noqa: F811
    _, right = pair(root, 2)
    iterator = iter(right)
    for _ in range(used):
        next(iterator)
    del iterator
    assert not [t for t in threading.enumerate() if t.name.startswith("dctnet")]
    assert len(list(right)) == 13  # and the next one is whole


def test_a_pass_dropped_on_its_own_thread_ends(root):  # noqa: F811
    """The garbage collector may run, and end a pass, on a thread that the pass itself is waiting for."""
    _, right = pair(root, 2, prefetch=3)
    whole, opened, given, last = right.reader.open, [], threading.Event(), []

    def open_or_drop(keys):
        opened.append(keys)
        if len(opened) == 5:  # ahead of the first batch, so that its decoding does not need it
            given.wait(30)
            last.clear()
        return whole(keys)

    right.reader.open = open_or_drop
    last.append(iter(right))
    next(last[0])
    given.set()
    for thread in threading.enumerate():
        if thread.name.startswith("dctnet"):
            thread.join(30)
            assert not thread.is_alive()
    assert len(opened) >= 5 and not last


def test_an_error_of_the_transform_reaches_the_caller(root):  # noqa: F811
    from dctnet.transforms.compose import Compose
    from dctnet.transforms.geometric import CenterCrop, Resize

    for transform, message in (
        (Compose([Resize(32)]), "different sizes"),
        (Compose([CenterCrop(50)]), "does not fit a picture of"),
    ):
        _, right = pair(root, transform=transform)
        with pytest.raises(ValueError, match=message):
            list(right)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats(root, dtype):  # noqa: F811
    left, _ = pair(root)
    right = DALILoader(JPEGFolder(root, TRANSFORM, seed=1), 8, shuffle=True, seed=1, dtype=dtype)
    for one, other in zip(left, right, strict=True):
        for plane, expected in zip(other.coefficients, one.coefficients, strict=True):
            assert plane.dtype == dtype and torch.allclose(plane.float(), expected, rtol=2**-7, atol=1e-3)


@pytest.mark.parametrize("finished", [False, True])
def test_arrays_come_through_dali_unchanged(root, damaged, finished):  # noqa: F811
    """What is done for a GPU, done here: DALI carries windows, the batched transform works on them; or finished planes."""
    for folder, batch_size in ((root, 8), (damaged, 1)):
        data = JPEGFolder(folder, TRANSFORM, seed=1)
        keys = KeyedBatches(len(data), batch_size, shuffle=True, seed=1)
        reader = BatchReader(data, 2, finish=finished)
        through = carried(reader, keys, Slots(pin_memory=False), arrays=True)
        expected = KeyedLoader(data, batch_size, shuffle=True, seed=1, max_broken=1.0, report=False)
        seen = []
        for ready, one in zip(through, expected, strict=True):
            assert_same_batches([one], [ready.transformed(torch.float32)])
            seen.append(ready.plan is None)
        assert any(seen) == finished or folder is damaged


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads is a whole number at least 1; got 0"),
        ({"threads": None}, "threads is a whole number at least 1; got None"),
        ({"prefetch": 0}, "prefetch is a whole number at least 1; got 0"),
        ({"dtype": torch.int8}, "of a floating-point dtype, such as torch.float32; got torch.int8"),
        ({"dtype": "half"}, "of a floating-point dtype, such as torch.float32; got half"),
        ({"rank": 2, "ranks": 2}, r"rank is a whole number in \[0, 1\]; got 2"),
    ],
)
def test_what_the_loader_refuses(root, options, message):  # noqa: F811
    with pytest.raises(ValueError, match=message):
        DALILoader(JPEGFolder(root, TRANSFORM), 8, **options)


def test_data_sets_that_the_loader_refuses(root, tmp_path):  # noqa: F811
    with pytest.raises(ValueError, match="applies a Compose"):
        DALILoader(JPEGFolder(root), 8)
    pack(str(root), tmp_path / "store")
    with pytest.raises(
        ValueError, match=r"the dali loader decodes files; a StoreFolder has none\. Read it with KeyedLoader"
    ):
        DALILoader(StoreFolder(tmp_path / "store", TRANSFORM), 8)


@pytest.mark.gpu
def test_same_batches_on_a_gpu(root, damaged):  # noqa: F811
    left, right = pair(root, device=0)
    for _ in range(2):
        assert_same_batches(left, right)
    assert next(iter(right)).coefficients.y.device == torch.device("cuda", 0)
    assert_same_batches(*pair(damaged, 1, shuffle=False, max_broken=1.0, report=False, device=0))
