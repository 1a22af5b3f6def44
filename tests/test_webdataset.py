"""WebDataset tars: ours are read by the package webdataset, its are read by us, and both hold the files as they were."""

import gc
import io
import itertools
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image
from torch.utils.data import DataLoader

from dctnet.cli import main
from dctnet.data.batch import collate
from dctnet.data.folder import DataError, JPEGFolder
from dctnet.data.keyed_sampling import SampleKey, sample_generator
from dctnet.data.module import DCTDataModule
from dctnet.data.pack import pack
from dctnet.data.store import StoreFolder
from dctnet.data.tar_samples import open_tar, samples
from dctnet.data.tar_stream import TarStream
from dctnet.data.torch_loader import KeyedLoader
from dctnet.data.webdataset_shards import TarFolder
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.reader import read_jpeg
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop

TRANSFORM = Compose([RandomResizedCrop(32, scale=(0.3, 1.0)), RandomHorizontalFlip(0.5)], block_size=8)
NAMES = ["plain.jpg", "two.dots.in.it.JPEG", "new\nline.jpg", "Ünicode.jpg", os.fsdecode(b"\xfe.jpg"), "__meta__.jpg"]


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40 + seed, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=70)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of six files with odd names."""
    root = tmp_path_factory.mktemp("pictures")
    for index in range(12):
        path = root / "ab"[index // 6] / NAMES[index % 6]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(index))
    return root


@pytest.fixture(scope="module")
def tars(folder, tmp_path_factory):
    """The folder in three tars, written by us."""
    root = tmp_path_factory.mktemp("tars") / "ours"
    pack(str(folder), root, format="webdataset", shard_size=5)
    return root


@pytest.fixture(scope="module")
def foreign(folder, tmp_path_factory):
    """The folder in three tars, written by the package's ShardWriter, with other members beside."""
    root = tmp_path_factory.mktemp("foreign")
    files = JPEGFolder(folder)
    with webdataset.ShardWriter(str(root / "set-%06d.tar"), maxcount=5, verbose=0) as writer:
        for index, (path, label) in enumerate(files.samples):
            writer.write(
                {"__key__": f"sub/sample{index:06d}", "jpg": Path(path).read_bytes(), "cls": label, "txt": "words"}
            )
    return root


def pattern(tars: Path) -> str:
    return str(tars / "shard-{00000..00002}.tar")


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning"
)  # the package leaves the last shard to the collector
def test_the_package_reads_our_tars(folder, tars):
    files = JPEGFolder(folder)
    read = list(webdataset.WebDataset(pattern(tars), shardshuffle=False))
    assert len(read) == 12 and json.loads((tars / "classes.json").read_text()) == ["a", "b"]
    for (path, label), sample in zip(files.samples, read, strict=True):
        assert sample["jpg"] == Path(path).read_bytes() and int(sample["cls"]) == label
        assert json.loads(sample["json"])["name"] == os.path.relpath(path, folder)
    for picture, label in webdataset.WebDataset(pattern(tars), shardshuffle=False).decode("pil").to_tuple("jpg", "cls"):
        assert picture.size[0] == 48 and label in (0, 1)
    gc.collect()


@pytest.mark.parametrize("whose", ["tars", "foreign"])
def test_we_read_tars_as_we_read_the_folder(folder, whose, request):
    root = request.getfixturevalue(whose)
    files, tars = JPEGFolder(folder, TRANSFORM, seed=2), TarFolder(root, TRANSFORM, seed=2)
    assert len(tars) == 12 and tars.classes == (["a", "b"] if whose == "tars" else ["0", "1"])
    for index in range(12):
        assert tars.source(index) == Path(files.path(index)).read_bytes()
        assert tars.label(index) == files.label(index)
    assert len({tars.path(index) for index in range(12)}) == 12 and tars.path(0).startswith(str(root))
    again = pickle.loads(pickle.dumps(tars))
    for key in (SampleKey(0, 3), SampleKey(4, 11)):
        for reader in (tars, again):
            assert all(torch.equal(p, q) for p, q in zip(files[key][0], reader[key][0], strict=True))


def test_the_loader_keeps_its_laws_on_tars(folder, tars):
    left = list(KeyedLoader(JPEGFolder(folder, TRANSFORM, seed=1), 4, shuffle=True, seed=1))
    right = list(KeyedLoader(TarFolder(tars, TRANSFORM, seed=1), 4, shuffle=True, seed=1, workers=2))
    for a, b in zip(left, right, strict=True):
        assert torch.equal(a.indices, b.indices) and torch.equal(a.labels, b.labels)
        assert all(torch.allclose(p, q, atol=1e-3) for p, q in zip(a.coefficients, b.coefficients, strict=True))


@pytest.mark.parametrize("whose", ["tars", "foreign"])
def test_a_store_is_packed_from_tars_and_from_pipes(folder, whose, request, tmp_path):
    root = request.getfixturevalue(whose)
    classes = tmp_path / "names.json"
    classes.write_text('["a", "b"]')
    arguments = ["--bands", "all", "--dtype", "int16", "--classes", str(classes)]
    assert main(["pack", str(root), str(tmp_path / "one"), *arguments]) == 0
    name = "shard-{00000..00002}" if whose == "tars" else "set-{000000..000002}"
    assert main(["pack", f"pipe:cat {root}/{name}.tar", str(tmp_path / "two"), *arguments, "--shard", "1/2"]) == 0
    assert main(["pack", f"pipe:cat {root}/{name}.tar", str(tmp_path / "two"), *arguments, "--shard", "2/2"]) == 0
    files, one, two = JPEGFolder(folder), StoreFolder(tmp_path / "one"), StoreFolder(tmp_path / "two")
    assert one.classes == two.classes == ["a", "b"]
    for index in range(12):
        truth = read_jpeg(files.path(index)).coefficients
        for store in (one, two):
            assert store.label(index) == files.label(index)
            assert all(torch.equal(p, q) for p, q in zip(store.image(index).coefficients, truth, strict=True))


def test_a_stream_gives_each_picture_once_over_ranks_and_workers(folder, tars):
    truth = sorted(jpeg_label for _, jpeg_label in JPEGFolder(folder).samples)
    for ranks, workers in ((1, 0), (1, 2), (3, 0)):
        batches = []
        for rank in range(ranks):
            options = {"batch_size": 3, "seed": 4, "rank": rank, "ranks": ranks, "shuffle": 4}
            stream = TarStream(f"pipe:cat {pattern(tars)}", TRANSFORM, **options)
            stream.set_epoch(2)
            batches += list(DataLoader(stream, batch_size=None, collate_fn=collate, num_workers=workers))
        drawn = {
            int(index): tuple(plane[row] for plane in batch.coefficients)
            for batch in batches
            for row, index in enumerate(batch.indices)
        }
        assert len(drawn) == sum(batch.planned for batch in batches) == 12
        assert sorted(int(label) for batch in batches for label in batch.labels) == truth
        if ranks == 1 and workers == 0:
            first, order = drawn, [int(index) for batch in batches for index in batch.indices]
        assert all(torch.equal(p, q) for index in first for p, q in zip(first[index], drawn[index], strict=True))
    stream = TarStream(pattern(tars), TRANSFORM, batch_size=12, seed=4, shuffle=4)
    stream.set_epoch(3)
    assert next(iter(stream)).indices.tolist() != order
    (in_order,) = TarStream(pattern(tars), TRANSFORM, batch_size=12, shuffle=1)
    assert in_order.indices.tolist() == [
        (shard << 32) + place for shard, count in enumerate((5, 5, 2)) for place in range(count)
    ]
    with pytest.raises(ValueError, match="3 shards cannot be dealt out to rank 3 of 4"):
        TarStream(pattern(tars), rank=3, ranks=4)


@pytest.mark.parametrize("batched", [True, False])
def test_batches_from_tars_are_those_of_the_folder_to_the_bit(folder, tars, batched, monkeypatch):
    """In C++ or picture by picture, by random access or as a stream: the same pictures, and as the same key draws them."""
    if not batched:
        monkeypatch.setattr("dctnet.data.lifted_batch.lifting_of", lambda transform: None)
    files, shards = JPEGFolder(folder, TRANSFORM, seed=1), TarFolder(tars, TRANSFORM, seed=1)
    keys = [SampleKey(3, index) for index in (7, 0, 11, 4)]
    for one, other in zip(files.load_batch(keys), shards.load_batch(keys), strict=True):
        same = all(map(torch.equal, one, other)) if isinstance(one, tuple) and one else one == other
        assert same.all() if isinstance(same, torch.Tensor) else same
    (streamed,) = TarStream(pattern(tars), TRANSFORM, seed=1, shuffle=1)
    keys = [SampleKey(0, int(index)) for index in streamed.indices]
    each = [TRANSFORM(read_jpeg(files.path(i)), generator=sample_generator(1, key)) for i, key in enumerate(keys)]
    for plane, expected in zip(streamed.coefficients, zip(*each, strict=True), strict=True):
        assert torch.allclose(plane, torch.stack(expected), atol=1e-3)


def test_a_tar_that_is_cut_short_while_it_is_read_is_a_broken_file(tars, tmp_path):
    shutil.copytree(tars, tmp_path / "copy")
    shards = TarFolder(tmp_path / "copy", TRANSFORM)
    shards.load_batch([SampleKey(0, 0)])
    os.truncate(shards.tars[0], 1000)
    batch = shards.load_batch([SampleKey(0, 4), SampleKey(0, 5)])
    assert batch.indices.tolist() == [5] and [item.path for item in batch.broken] == [shards.path(4)]
    assert "was cut short since it was opened: copy or make it again" in batch.broken[0].reason


def test_the_data_module_trains_on_tars(folder, tmp_path):
    for split in ("train", "val"):
        pack(str(folder), tmp_path / "data" / split, format="webdataset", shard_size=5)
    module = DCTDataModule(str(tmp_path / "data"), image_size=32, batch_size=4, workers=0)
    assert module.classes == ["a", "b"] and len(module.train_set) == 12
    assert next(iter(module.train_dataloader())).coefficients.y.shape == (4, 64, 4, 4)
    assert sum(len(batch.labels) for batch in module.val_dataloader()) == 12


def write_tar(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


JPEG = jpeg(0)
BAD_TARS = {
    "no label": ([("1.jpg", JPEG)], r"sample 1 needs a member 1\.cls with its label"),
    "label is text": ([("1.jpg", JPEG), ("1.cls", b"cat")], "a number from 0; got b'cat'"),
    "negative label": ([("1.jpg", JPEG), ("1.cls", b"-1")], "a number from 0; got b'-1'"),
    "endless label": ([("1.jpg", JPEG), ("1.cls", b"9" * 30)], "a number from 0"),
    "no picture": ([("1.cls", b"0")], "sample 1 has 0 pictures"),
    "two pictures": ([("1.jpg", JPEG), ("1.jpeg", JPEG), ("1.cls", b"0")], "sample 1 has 2 pictures"),
    "member twice": ([("1.jpg", JPEG), ("1.jpg", JPEG), ("1.cls", b"0")], r"two members are called 1\.jpg"),
    "torn apart": ([("1.jpg", JPEG), ("2.jpg", JPEG), ("1.cls", b"0"), ("2.cls", b"0")], "sample 1 needs a member"),
}


@pytest.mark.parametrize("name", BAD_TARS)
def test_tars_that_are_no_data_set(tmp_path, name):
    members, message = BAD_TARS[name]
    write_tar(tmp_path / "x.tar", members)
    with pytest.raises(DataError, match=message):
        TarFolder(tmp_path)
    with pytest.raises(DataError, match=message), (tmp_path / "x.tar").open("rb") as stream:
        list(samples(stream, "x.tar"))


def test_damaged_tars_and_pictures_are_named(tars, tmp_path):
    whole = (tars / "shard-00000.tar").read_bytes()
    for cut in (0, 300, 3000):
        (tmp_path / "x.tar").write_bytes(whole[:cut] if cut != 3000 else b"\0" * 10 + whole)
        with pytest.raises(DataError, match=r"x\.tar is no tar file, or it is damaged: .*Copy or make it again"):
            TarFolder(tmp_path)
    (tmp_path / "x.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"x\.tar"):
        pack(str(tmp_path), tmp_path / "store")
    write_tar(tmp_path / "x.tar", [("1.jpg", JPEG), ("1.cls", b"0")], "w:gz")
    with pytest.raises(DataError, match=r"x\.tar is no tar file, or it is damaged"):
        TarFolder(tmp_path)
    write_tar(tmp_path / "x.tar", [("1.jpg", JPEG[:200]), ("1.cls", b"0"), ("2.jpg", JPEG), ("2.cls", b"0")])
    with pytest.raises(JPEGError, match=r"x\.tar/1\.jpg, byte"):
        TarFolder(tmp_path)[0]
    (batch,) = KeyedLoader(TarFolder(tmp_path), 2, max_broken=1, report=False)
    assert [item.path for item in batch.broken] == [f"{tmp_path}/x.tar/1.jpg"] and len(batch.labels) == 1
    (batch,) = TarStream([str(tmp_path / "x.tar")])
    assert [item.path for item in batch.broken] == ["x/1.jpg"] and len(batch.labels) == 1


def lose_a_header(data: bytearray, place: int) -> bytes:
    data[place + 100] = 0xFF
    return bytes(data)


# How a tar loses its second half without a word of tarfile, from the place of a header on.
QUIET_LOSSES = {
    "flipped byte": (lose_a_header, "at byte {place} stands no header of a member, nor its end .bad checksum"),
    "cut at a member": (lambda data, place: bytes(data[:place]), "at byte {place} stands no header .*empty header"),
    "cut in a header": (lambda data, place: bytes(data[: place + 99]), "at byte {place} .*truncated header"),
    "block of zeros": (
        lambda data, place: bytes(data[:place]) + bytes(512) + bytes(data[place + 512 :]),
        "it ends at byte {place}, but data follow: a header is lost",
    ),
    "two archives in one": (lambda data, place: bytes(data + data), "but data follow: .*several archives"),
}


@pytest.mark.parametrize("name", QUIET_LOSSES)
def test_a_tar_that_loses_its_rest_is_named_with_the_place(tmp_path, name):
    change, message = QUIET_LOSSES[name]
    path = tmp_path / "x.tar"
    write_tar(
        path, [(f"{i}.{extension}", data) for i in range(4) for extension, data in (("jpg", JPEG), ("cls", b"0"))]
    )
    with tarfile.open(path) as archive:
        place = archive.getmembers()[4].offset
    path.write_bytes(change(bytearray(path.read_bytes()), place))
    message = r"x\.tar is no tar file, or it is damaged: .*" + message.format(place=place)
    with pytest.raises(DataError, match=message):
        TarFolder(tmp_path)
    with pytest.raises(DataError, match=message):
        list(TarStream([str(path)]))
    with pytest.raises(DataError, match=message):
        pack(str(tmp_path), tmp_path / "store")


def test_a_tar_is_held_against_what_was_noted_when_it_was_written(tars, tmp_path):
    shutil.copytree(tars, tmp_path, dirs_exist_ok=True)
    with tarfile.open(tmp_path / "shard-00000.tar") as archive:
        end = archive.getmembers()[-3].offset
    path = tmp_path / "shard-00000.tar"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:end] + bytes(size - end))
    with pytest.raises(
        DataError, match=rf"shard-00000\.tar has {size} bytes and 4 pictures; .* with {size} and 5.*remove"
    ):
        TarFolder(tmp_path)
    (tmp_path / "shard-00000.json").unlink()
    assert len(TarFolder(tmp_path)) == 11
    (tmp_path / "shard-00001.json").write_text('{"name": "shard-00001", "of": "somebody else"}')
    assert len(TarFolder(tmp_path)) == 11


def test_verify_of_tars(tars, foreign, tmp_path, capsys):
    shutil.copytree(tars, tmp_path / "ours")
    shutil.copytree(foreign, tmp_path / "foreign")
    for root, known in (("ours", 3), ("foreign", 0)):
        assert main(["pack", "--verify", str(tmp_path / root)]) == 0
        said = capsys.readouterr().out
        assert f"{root}: 3 tars, whole by their headers; {known} match the checksums" in said
    path = tmp_path / "ours" / "shard-00001.tar"
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    assert main(["pack", "--verify", str(tmp_path / "ours")]) == 1
    assert "shard-00001.tar does not match its checksum" in capsys.readouterr().out
    (tmp_path / "ours" / "shard-00002.tar").unlink()
    assert main(["pack", "--verify", str(tmp_path / "ours")]) == 1
    assert "1 of 3 shards of" in (said := capsys.readouterr().out) and "shard-00001.tar does not" in said
    path = sorted((tmp_path / "foreign").glob("*.tar"))[0]
    path.write_bytes(path.read_bytes()[:512])
    assert main(["pack", "--verify", str(tmp_path / "foreign")]) == 1
    assert f"{path.name} is no tar file, or it is damaged" in capsys.readouterr().out


def test_classes_and_labels_that_disagree(tars, tmp_path):
    write_tar(tmp_path / "x.tar", [("1.jpg", JPEG), ("1.cls", b"3")])
    assert TarFolder(tmp_path).classes == ["0", "1", "2", "3"]
    write_tar(tmp_path / "x.tar", [("1.jpg", JPEG), ("1.cls", b"999999999")])
    with pytest.raises(
        DataError, match=r"has the label 999999999; .*Number the labels without gaps, or .*classes\.json"
    ):
        TarFolder(tmp_path)
    with pytest.raises(DataError, match="store has the label 999999999"):
        pack(str(tmp_path), tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    write_tar(tmp_path / "x.tar", [("1.jpg", JPEG), ("1.cls", b"3")])
    (tmp_path / "classes.json").write_text('["a", "b"]')
    with pytest.raises(DataError, match=r"labels up to 3, classes\.json names 2 classes"):
        TarFolder(tmp_path)
    with pytest.raises(DataError, match="have labels up to 3, but 2 classes are named"):
        pack(str(tmp_path), tmp_path / "store")
    for text, message in (
        ("{", "is not JSON"),
        ('["a", "a"]', "no list of different"),
        ('{"a": 0}', "no list of different"),
    ):
        (tmp_path / "classes.json").write_text(text)
        with pytest.raises(DataError, match=message):
            TarFolder(tmp_path)
    with pytest.raises(DataError, match="none of the training set: a, b"):
        TarFolder(tars, classes=["x"])
    with pytest.raises(DataError, match="holds no tar shards"):
        TarFolder(tmp_path / "nowhere")


def test_without_the_package_streams_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "webdataset", None)
    monkeypatch.setitem(__import__("sys").modules, "webdataset.gopen", None)
    with pytest.raises(DataError, match=r"pip install 'dctnet\[webdataset\]'"):
        next(iter(TarStream(["s3://bucket/a.tar"])))


def test_our_tars_are_the_same_to_the_byte_each_time(folder, tars, tmp_path):
    pack(str(folder), tmp_path / "again", format="webdataset", shard_size=5)
    for path, other in itertools.product(sorted(tars.glob("*.tar")), [tmp_path / "again"]):
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_a_pipe_that_fails_is_named(tmp_path, capsys):
    (tmp_path / "classes.json").write_text('["a"]')
    for command in ("exit 3", "cat nowhere.tar"):
        words = ["pack", f"pipe:{command}", str(tmp_path / "store"), "--classes", str(tmp_path / "classes.json")]
        assert main(words) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(f"dctnet pack: pipe:{command}") and f"Run `{command}` by hand" in said
        shutil.rmtree(tmp_path / "store")


def test_a_pipe_that_is_given_up_may_complain():
    """A pass may end before its tars: that a command then fails to write is no error."""

    def first(url):
        with open_tar(url) as stream:
            yield stream.read(3)

    one = first("pipe:printf tar; sleep 1; exit 3")
    assert next(one) == b"tar"
    one.close()
    with pytest.raises(DataError, match="did not end well"):
        list(first("pipe:printf tar; sleep 1; exit 3"))
