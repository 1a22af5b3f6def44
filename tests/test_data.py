"""Folders of JPEG files: labels, keys of the random draws, errors; and the data module."""

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from dctnet.coefficients import Coefficients
from dctnet.data.folder import DataError, FileList, JPEGFolder
from dctnet.data.keyed_sampling import KeyedBatches, Place, SampleKey, epoch_order, mix, sample_generator
from dctnet.data.module import DCTDataModule
from dctnet.jpeg.errors import JPEGError
from dctnet.jpeg.reader import read_jpeg
from dctnet.statistics import read_statistics
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, Resize


def jpeg(seed: int, size: tuple[int, int] = (40, 48)) -> bytes:
    """A smooth random colour JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=80, subsampling="4:2:0")
    return file.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """root/{train,val}: classes b (5 files), a (3), c (4); names in mixed case."""
    root = tmp_path_factory.mktemp("made")
    seed = 0
    for split in ("train", "val"):
        for name, count in (("b", 5), ("a", 3), ("c", 4)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                (root / split / name / f"{i}.{('jpg', 'JPEG', 'JPG')[i % 3]}").write_bytes(jpeg(seed))
                seed += 1
    (root / "train" / "b" / "readme.txt").write_text("not a picture")
    return root


TRANSFORM = Compose([RandomResizedCrop(32, scale=(0.3, 1.0)), RandomHorizontalFlip(0.5)], block_size=(8, 4))


def same(a: Coefficients, b: Coefficients) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def close(a: Coefficients, b: Coefficients) -> bool:
    """Equal to the rounding of float32, in gray levels."""
    return all(torch.allclose(p, q, rtol=0, atol=1e-3) for p, q in zip(a, b, strict=True))


def test_labels_number_the_sorted_class_names(made):
    folder = JPEGFolder(made / "train")
    assert folder.classes == ["a", "b", "c"] and folder.class_to_idx == {"a": 0, "b": 1, "c": 2}
    assert len(folder) == 12
    for index in range(len(folder)):
        coefficients, label = folder[index]
        assert folder.classes[label] == folder.path(index).split("/")[-2]
        assert same(coefficients, read_jpeg(folder.path(index)).coefficients)


def test_a_sample_depends_on_seed_epoch_and_index_alone(made):
    folder = JPEGFolder(made / "train", TRANSFORM, seed=3)
    drawn = [folder[SampleKey(1, index)][0] for index in (4, 2, 4)]
    assert same(drawn[0], drawn[2])
    assert same(folder[7][0], folder[SampleKey(0, 7)][0])
    image = read_jpeg(folder.path(4))
    assert same(drawn[0], TRANSFORM(image, generator=sample_generator(3, SampleKey(1, 4))))
    assert not same(drawn[0], folder[SampleKey(2, 4)][0])
    assert not same(drawn[0], JPEGFolder(made / "train", TRANSFORM, seed=4)[SampleKey(1, 4)][0])


def test_mix_scatters_its_bits():
    base = mix(1, 2, 3)
    changes = [bin(base ^ mix(1 ^ (1 << bit), 2, 3)).count("1") for bit in range(64)]
    changes += [bin(base ^ mix(1, 2, 3 ^ (1 << bit))).count("1") for bit in range(64)]
    assert 28 < np.mean(changes) < 35  # of 63 bits
    assert min(changes) > 12
    assert len({mix(s, e, i) for s in range(4) for e in range(30) for i in range(300)}) == 4 * 30 * 300


@pytest.mark.parametrize("length,batch,ranks", [(24, 8, 2), (23, 8, 4), (9, 4, 2), (3, 4, 4), (100, 12, 3)])
def test_a_step_holds_the_same_samples_for_any_number_of_ranks(length, batch, ranks):
    def steps(ranks, **options):
        parts = [KeyedBatches(length, batch, rank=r, ranks=ranks, seed=5, **options) for r in range(ranks)]
        assert len({len(part) for part in parts}) == 1
        assert [part.share() for part in parts] == [sum(map(len, part)) for part in parts]
        return [[key for part in step for key in part] for step in zip(*map(list, parts), strict=True)]

    for shuffle in (False, True):
        whole, split = steps(1, shuffle=shuffle), steps(ranks, shuffle=shuffle)
        assert [sorted(step) for step in whole] == [sorted(step) for step in split]
        assert sorted(key.index for step in split for key in step) == list(range(length))  # each exactly once
        if length >= batch:
            dropped = steps(ranks, shuffle=shuffle, drop_last=True)
            assert [len(step) for step in dropped] == [batch] * (length // batch)
            assert [sorted(step) for step in dropped] == [sorted(step) for step in whole[: length // batch]]
        padded = steps(ranks, shuffle=shuffle, pad=True)
        indices = [key.index for step in padded for key in step]
        assert len(indices) == length + -length % ranks and set(indices) == set(range(length))


def test_every_epoch_is_another_permutation():
    orders = [tuple(epoch_order(50, 1, epoch)) for epoch in range(5)] + [tuple(epoch_order(50, 2, 0))]
    assert len(set(orders)) == 6
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_a_place_resumes_once_and_only_within_its_epoch():
    place = Place(10)
    assert place.begin() == (0, 0)
    place.batch = 4
    assert place.begin() == (0, 0)  # a pass that was broken off starts again
    place.batch = 10
    assert place.begin() == (1, 0)  # a completed one is followed by the next
    place.resume(3, 7)
    place.set_epoch(3)
    assert place.begin() == (3, 7)
    assert place.begin() == (3, 0)
    place.resume(3, 7)
    place.set_epoch(4)
    assert place.begin() == (4, 0)
    place.resume(3, 10)
    assert place.begin() == (4, 0)


def test_batch_sizes_that_cannot_be_shared_out():
    with pytest.raises(ValueError, match=r"multiple of their number; got batch_size=10 for 4 processes. Try 8"):
        KeyedBatches(100, 10, ranks=4)
    with pytest.raises(ValueError, match="7 samples do not fill one batch of 8"):
        KeyedBatches(7, 8, drop_last=True)


@pytest.mark.parametrize(
    ("rank", "ranks", "message"),
    [
        (2, 2, r"rank is a whole number in \[0, 1\]; got 2"),
        (-1, 2, r"rank is a whole number in \[0, 1\]; got -1"),
        (0, 0, "ranks is a whole number at least 1; got 0"),
        (0, -1, "ranks is a whole number at least 1; got -1"),
    ],
)
def test_shares_that_there_are_not(rank, ranks, message):
    with pytest.raises(ValueError, match=message):
        KeyedBatches(10, 4, rank=rank, ranks=ranks)


def test_errors_of_folders(tmp_path, made):
    with pytest.raises(DataError, match=r"there is no folder .*absent.*dctnet prepare"):
        JPEGFolder(tmp_path / "absent")
    with pytest.raises(DataError, match="has no sub-folders"):
        JPEGFolder(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "1.jpg").write_bytes(jpeg(0))
    with pytest.raises(DataError, match=r"1 of 2 class folders .* hold no JPEG file .*: cat"):
        JPEGFolder(tmp_path)
    with pytest.raises(DataError, match=r"no class of the training set: a, b, c .*known: x"):
        JPEGFolder(made / "val", classes=["x"])


def test_a_link_loop_adds_no_files(tmp_path):
    (tmp_path / "cat" / "more").mkdir(parents=True)
    (tmp_path / "cat" / "more" / "1.jpg").write_bytes(jpeg(0))
    (tmp_path / "cat" / "more" / "up").symlink_to(tmp_path / "cat", target_is_directory=True)
    assert len(JPEGFolder(tmp_path)) == 1


def test_an_unreadable_file_raises_its_own_error(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "cut.jpg").write_bytes(jpeg(0)[:200])
    with pytest.raises(JPEGError, match=r"cut\.jpg"):
        JPEGFolder(tmp_path)[0]


def test_a_png_under_a_jpeg_name_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("dctnet.jpeg.reader._through_pixels", 0)  # the first file of a process warns
    (tmp_path / "cat").mkdir()
    flat = Image.new("RGB", (24, 16), (128, 128, 128))
    flat.save(tmp_path / "cat" / "png.JPEG", "PNG")
    with pytest.warns(UserWarning, match="through pixels"):
        (y, cb, cr), label = JPEGFolder(tmp_path)[0]
    assert label == 0 and y.shape == (64, 2, 3)
    assert not y.any() and not cb.any() and not cr.any()


def test_the_module_does_what_its_settings_say(made):
    data = DCTDataModule(str(made), image_size=32, resize_size=36, block_size=[8, 4], batch_size=4, workers=0, seed=9)
    assert data.classes == ["a", "b", "c"]
    keys = [key for batch in KeyedBatches(12, 4, shuffle=True, drop_last=True, seed=9) for key in batch]
    batches = list(data.train_dataloader())
    assert torch.cat([batch.indices for batch in batches]).tolist() == [key.index for key in keys]
    expected = Compose([RandomResizedCrop(32), RandomHorizontalFlip()], block_size=(8, 4))(
        read_jpeg(data.train_set.path(keys[5].index)), generator=sample_generator(9, keys[5])
    )
    assert close(batches[1].coefficients.map(lambda plane: plane[1]), expected)
    whole = Compose([Resize(36), CenterCrop(32)], block_size=(8, 4))
    seen = 0
    for loader in (data.val_dataloader(), data.test_dataloader()):  # without test/, test reads val/
        for batch in loader:
            for row, index in enumerate(batch.indices.tolist()):
                image = read_jpeg(data.val_set.path(index))
                assert close(batch.coefficients.map(lambda plane: plane[row]), whole(image))  # noqa: B023
                assert batch.labels[row] == data.val_set.label(index)
                seen += 1
    assert seen == 24
    assert sum(batch.planned for batch in data.predict_dataloader()) == 24
    with pytest.raises(ValueError, match="image_size is a number of pixels, at least 1; got 0"):
        DCTDataModule(str(made), image_size=0)
    with pytest.raises(ValueError, match="resize_size 30 is smaller than image_size 32"):
        DCTDataModule(str(made), image_size=32, resize_size=30)


def test_erasing_comes_last_in_training_alone(made):
    settings = {"image_size": 32, "block_size": [8, 4], "batch_size": 4, "workers": 0, "seed": 9, "flip": 1.0}
    plain, erasing = DCTDataModule(str(made), **settings), DCTDataModule(str(made), erasing=0.6, **settings)
    last, erased = erasing.train_transform.transforms[-1], 0
    for index in range(len(plain.train_set)):
        key = SampleKey(3, index)
        before, after = plain.train_set.sample(key)[0], erasing.train_set.sample(key)[0]
        generator = sample_generator(9, key)
        plain.train_transform(read_jpeg(plain.train_set.path(index)), generator)
        assert same(after, last(before, generator, (32, 32)))
        erased += not same(before, after)
    assert 0 < erased < len(plain.train_set)
    assert repr(erasing.eval_transform) == repr(plain.eval_transform)
    with pytest.raises(ValueError, match=r"erasing is a probability in \[0, 1\]; got 2"):
        DCTDataModule(str(made), erasing=2)


def test_chosen_bands_and_their_figures_come_last(made):
    settings = {"image_size": 32, "batch_size": 4, "workers": 0, "seed": 9, "erasing": 0.5}
    plain = DCTDataModule(str(made), **settings)
    chosen = DCTDataModule(str(made), bands=["square-2", [0, 9], [1]], statistics="cifar10", **settings)
    assert chosen.bands == [[0, 1, 8, 9], [0, 9], [1]]
    card = read_statistics("cifar10")
    for data in ("train_set", "val_set"):
        key = SampleKey(1, 2)
        before, after = getattr(plain, data).sample(key)[0], getattr(chosen, data).sample(key)[0]
        batch = getattr(chosen, data).load_batch([key, SampleKey(0, 3)]).coefficients
        for number, plane in enumerate(after):
            kept = chosen.bands[number]
            mean, std = (
                torch.tensor([values[number][k] for k in kept])[:, None, None] for values in (card.mean, card.std)
            )
            torch.testing.assert_close(plane, (before[number][kept] - mean) / std, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(batch[number][0], plane, rtol=0, atol=1e-3)
    with pytest.raises(
        ValueError, match=r"holds \[64, 64, 64\] bands of Y, Cb and Cr; blocks of 8 and 4 have 64 and 16"
    ):
        DCTDataModule(str(made), block_size=(8, 4), statistics="cifar10")


def test_test_and_predict_folders_are_used_where_present(made, tmp_path):
    shutil.copytree(made, tmp_path / "data")
    shutil.copytree(made / "val" / "a", tmp_path / "data" / "test" / "a")
    shutil.copytree(made / "val" / "b", tmp_path / "data" / "predict")
    data = DCTDataModule(str(tmp_path / "data"), image_size=32, workers=0)
    assert len(data.test_set) == 3 and len(data.predict_set) == 5


def test_file_list_keeps_the_order_given(made):
    paths = [made / "train" / "b" / "1.JPEG", made / "train" / "a" / "0.jpg"]
    listed = FileList(paths)
    assert [listed[i][1] for i in range(2)] == [-1, -1]
    assert same(listed[1][0], read_jpeg(paths[1]).coefficients)


@pytest.mark.parametrize("augment", ["randaugment", "trivialaugment", "threeaugment"])
def test_policies_act_on_training_pictures_alone(made, augment):
    settings = {"image_size": 32, "resize_size": 36, "batch_size": 8, "workers": 0}
    plain, other = DCTDataModule(str(made), **settings), DCTDataModule(str(made), augment=augment, **settings)
    key = SampleKey(0, 0)
    changed = 0
    for epoch in range(12):
        before, after, again = (m.train_set.sample(key._replace(epoch=epoch))[0] for m in (plain, other, other))
        assert all(torch.equal(a, b) and a.shape == c.shape for a, b, c in zip(after, again, before, strict=True))
        changed += not torch.equal(before.y, after.y)
    assert changed >= 6
    assert repr(other.eval_transform) == repr(plain.eval_transform)
    with pytest.raises(ValueError, match="augment is one of"):
        DCTDataModule(str(made), augment="autoaugment")
