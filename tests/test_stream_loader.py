"""Training from tar shards that are streamed: epochs, ranks, workers, resuming; by way of pipes, file: and s3: addresses."""

import os
import subprocess
import sys
import tarfile

import pytest
import torch

from dctnet.data.folder import DataError
from dctnet.data.module import DCTDataModule
from dctnet.data.pack import pack
from dctnet.data.stream_loader import Shards, StreamLoader, open_shards
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop
from tests.test_ddp import ROOT, SCRIPT
from tests.test_webdataset import jpeg

TRANSFORM = Compose([RandomResizedCrop(32, scale=(0.3, 1.0)), RandomHorizontalFlip(0.5)], block_size=8)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """26 pictures of two classes as a folder, and in tars of 7, 7, 7 and 5."""
    place = tmp_path_factory.mktemp("streams")
    for index in range(26):
        path = place / "val" / "ab"[index % 2] / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(index))
    pack(str(place / "val"), place / "tars", format="webdataset", shard_size=7)
    return place


def loader(place, batch_size=4, **options):
    shards = open_shards(f"file:{place}/tars/shard-{{00000..00003}}.tar")
    return StreamLoader(shards, TRANSFORM, batch_size, seed=2, shuffle=5, **options)


def same(one, other):
    return torch.equal(one.indices, other.indices) and all(map(torch.equal, one.coefficients, other.coefficients))


def test_counts_and_classes_stand_beside_local_shards(place, tmp_path):
    for pattern in (f"file:{place}/tars/shard-{{00000..00003}}.tar", f"{place}/tars/shard-{{00000..00003}}.tar"):
        assert open_shards(pattern)[1:] == (26, ["a", "b"])
    names = tmp_path / "names.json"
    names.write_text('["x", "y"]')
    piped = f"pipe:cat {place}/tars/shard-{{00000..00003}}.tar"
    assert open_shards(piped, 26, str(names))[1:] == (26, ["x", "y"])
    with pytest.raises(
        DataError, match=r"how many pictures the 4 shards of pipe:.* hold has to be said.*--data.samples N"
    ):
        open_shards(piped)
    with pytest.raises(DataError, match=r"the classes of pipe:.* have to be named: --data.class_names FILE.json"):
        open_shards(piped, 26)


def test_an_epoch_has_each_picture_once_and_the_next_another_order(place):
    stream = loader(place, 13)
    epochs = [torch.cat([batch.indices for batch in stream]).tolist() for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(set(epochs[0])) and len(epochs[0]) == 26
    assert epochs[0] != epochs[1]
    stream.set_epoch(0)
    assert torch.cat([batch.indices for batch in stream]).tolist() == epochs[0]


@pytest.mark.parametrize("workers", [0, 2, 9])
def test_ranks_get_equal_numbers_of_whole_batches(place, workers):
    """Of 26 pictures in unequal shards, three ranks, one of them with two shards, take 4 steps of 6."""
    for rank in range(3):
        batches = list(loader(place, 6, rank=rank, ranks=3, workers=workers))
        assert [len(batch.labels) for batch in batches] == [2, 2, 2, 2]
    with pytest.raises(ValueError, match="4 shards cannot be dealt out to rank 0 of 5"):
        loader(place, 5, ranks=5)


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_within_an_epoch_goes_on_with_the_next_batch(place, workers):
    whole, used = loader(place, workers=workers), 3
    first, second = list(whole), list(whole)
    cut = loader(place, workers=workers)
    iterator = iter(cut)
    for _ in range(used):
        next(iterator)
    state = cut.state_dict()
    iterator.close()
    again = loader(place, workers=workers)
    again.load_state_dict(state)
    assert all(same(*pair) for pair in zip([*again, *again], [*first[used:], *second], strict=True))
    other = loader(place, 2, workers=workers)
    with pytest.raises(DataError, match=r"go on within an epoch only as they were dealt out, \{'batch_size': 4"):
        other.load_state_dict(state)
    other.load_state_dict({**state, "batch": 0})  # an epoch's end is no matter


def run(folder, *command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=200
    )


def test_fit_from_object_storage(place, tmp_path):
    # A command `aws` that knows one bucket.
    (tmp_path / "aws").write_text(f'#!/bin/sh\nexec cat {place}/tars/"${{3#s3://bucket/}}"\n')
    (tmp_path / "aws").chmod(0o755)
    words = ["-m", "dctnet.cli", "fit", "--config", "clothing", "--data.root", "s3://bucket/shard-{00000..00003}.tar"]
    words += ["--data.samples", "26", "--data.class_names", str(place / "tars" / "classes.json"), "--data.val_root"]
    words += [str(place / "val"), "--data.image_size", "32", "--data.batch_size", "4", "--trainer.max_epochs", "2"]
    done = run(tmp_path, *words, "--trainer.accelerator", "cpu", "--model.options", '{"depth": 18, "width": 0.1}')
    assert done.returncode == 0 and "best validation top-1" in done.stdout, done.stderr
    assert torch.load(tmp_path / "runs/clothing/last.ckpt", weights_only=True)["global_step"] == 12


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("pipe:exit 3 {0..1}", "did not end well: its command or address failed. Run `exit 3 .` by hand"),
        ("what://x-{00..01}.tar", "the package webdataset does not open what://x-0"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_addresses_that_cannot_be_read(place, pattern, message, workers):
    shards = open_shards(pattern, 26, str(place / "tars" / "classes.json"))
    with pytest.raises(DataError, match=f"^[^\n]*{message}[^\n]*$"):
        list(StreamLoader(shards, TRANSFORM, 4, workers=workers))


def test_a_label_without_a_name(place):
    shards = open_shards(f"{place}/tars/shard-00003.tar")._replace(classes=["a"])
    with pytest.raises(DataError, match="the shards have labels up to 1 at least, 1 classes are named"):
        list(StreamLoader(shards, TRANSFORM, 4))


def test_tars_without_pictures_are_no_endless_search(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w"):
        pass
    with pytest.raises(DataError, match=r"the shards .*x\.tar hold no pictures"):
        list(StreamLoader(Shards([str(tmp_path / "x.tar")], 4, ["a"]), TRANSFORM, 4))


def test_other_splits_need_a_folder(place):
    module = DCTDataModule(f"{place}/tars/shard-{{00000..00003}}.tar", 32, batch_size=4, workers=0)
    assert module.classes == ["a", "b"] and module.val_dataloader() == []
    for split in ("val_set", "test_set", "predict_set"):
        with pytest.raises(DataError, match="tars that are streamed are for training; name"):
            getattr(module, split)
    with pytest.raises(ValueError, match=r"read by --data\.loader torch; got dali"):
        DCTDataModule(f"{place}/tars/shard-{{00000..00003}}.tar", loader="dali")


@pytest.mark.slow
def test_two_processes_train_on_unequal_shards(place, tmp_path):
    """7, 7, 7 and 5 pictures on two ranks: whoever has fewer begins again, so that none waits for the other forever."""
    arguments = f'"file:{place}/tars/shard-{{00000..00003}}.tar", val_root="{place}/val", '
    script = SCRIPT.replace('"data", ', arguments).replace("max_epochs=3", "max_epochs=2")
    (tmp_path / "script.py").write_text(script)
    done = run(tmp_path, "script.py", "2", "out")
    assert done.returncode == 0, done.stderr
    assert torch.load(tmp_path / "out", weights_only=True)["global_step"] == 6  # 2 epochs of 26 // 8
    metrics = torch.load(tmp_path / "out.metrics", weights_only=True)
    assert 26 * metrics["val_top1"] == pytest.approx(round(26 * metrics["val_top1"]), abs=1e-4)
