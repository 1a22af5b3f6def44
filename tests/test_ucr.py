"""Sets of time series in every form against the arrays that they were written from, and one line for what cannot be read."""

from functools import partial

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import zscore

from dctnet.data.folder import DataError
from dctnet.data.ucr import read_ucr, ucr_names
from dctnet.packaged import packaged_file
from tests.series_sets import tones, write_npz, write_table, write_ts

WRITERS = {
    "ts": write_ts,
    "tsv": partial(write_table, ending="tsv", parting="\t"),
    "txt": partial(write_table, ending="txt", parting="   "),
    "csv": partial(write_table, ending="csv", parting=","),
    "npz": write_npz,
}


@pytest.mark.parametrize("inner", [False, True], ids=["beside", "in_a_folder_of_its_name"])
@pytest.mark.parametrize("form", WRITERS)
def test_a_set_is_read_as_it_was_written(form, inner, tmp_path):
    train, test = tones(7, 0), tones(5, 1)
    train[1][:], test[1][:] = [10, 9, 10, -1, 9, 9, 10], [9, 9, -1, 10, 9]
    WRITERS[form](tmp_path / "Tones" if inner else tmp_path, "Tones", train, test)
    found = read_ucr(tmp_path, "Tones")
    assert found.classes == ["-1", "9", "10"] and ucr_names(tmp_path) == ["Tones"]  # by size, not by letters
    for part, (values, labels) in ((found.train, train), (found.test, test)):
        assert part.values.dtype == torch.float32 and part.labels.dtype == torch.int64
        assert torch.equal(part.values, torch.from_numpy(values.astype(np.float32)))
        assert [int(found.classes[label]) for label in part.labels] == labels.tolist()
        assert part.path.is_file()


@pytest.mark.parametrize("form", ["ts", "npz"])
def test_several_channels(form, tmp_path):
    train, test = tones(4, 0, channels=3), tones(3, 1, channels=3)
    found = read_ucr(WRITERS[form](tmp_path, "Tones", train, test), "Tones")
    assert torch.equal(found.train.values, torch.from_numpy(train[0].astype(np.float32)))
    assert torch.equal(found.test.values, torch.from_numpy(test[0].astype(np.float32)))


def test_arrays_of_two_axes_have_one_channel(tmp_path):
    values, labels = tones(4, 0)
    np.savez(
        tmp_path / "Flat.npz", X_train=values[:, 0], y_train=labels, X_test=values[:, 0], y_test=labels.astype(str)
    )
    found = read_ucr(tmp_path, "Flat")
    assert torch.equal(found.train.values, torch.from_numpy(values.astype(np.float32)))
    assert torch.equal(found.test.labels, found.train.labels)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_z_normalisation_is_scipys(scale, tmp_path):
    (values, labels), test = tones(6, 0, channels=2), tones(2, 1, channels=2)
    values = scale * (values + 30)
    values[2, 1] = 0.1 * scale  # a constant, whose mean is not exact
    write_ts(tmp_path, "Tones", (values, labels), test)
    found = read_ucr(tmp_path, "Tones", z_normalise=True).train.values
    assert (found[2, 1] == 0).all()
    values[2, 1] = found[2, 1] = torch.arange(40)
    expected = torch.from_numpy(zscore(values, axis=-1))
    found[2, 1] = expected[2, 1]
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


HEAD = "@problemName Set\n@classLabel true a b\n@data\n"


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [
        ("ts", HEAD + "1,2,3:a\n\n1,2:b\n", r"Set_TRAIN.ts line 6: 2 values, line 4 has 3 values. .* cut or pad them"),
        ("ts", HEAD + "1,2:3,4:a\n1,2:b\n", r"line 5: 2 values, line 4 has 2 dimensions of 2 values"),
        ("ts", HEAD + "1,2:3,4,5:a\n", "line 4: the dimensions have 2, 3 values"),
        ("ts", HEAD + "1,?,NaN:a\n", "line 4: value 2 of 3 is nan, and 1 more; fill in missing values"),
        ("ts", HEAD + "1,2,x:a\n", "line 4: what should be values is none: .*'x'"),
        ("ts", HEAD + "1,2,3\n", "line 4: the label is missing; a series is written v,v,v:label"),
        ("ts", HEAD + "1,2,3:c\n", "line 4: the label 'c' is not among those of @classLabel"),
        ("ts", HEAD + "1,2,3:?\n", "line 4: the label '.' is not among"),
        ("ts", HEAD + "(0,1),(1,2):a\n", "line 4: values with time stamps are not read"),
        ("ts", HEAD, "Set_TRAIN.ts holds no series"),
        ("ts", "# nothing\n", "Set_TRAIN.ts holds no series"),
        ("ts", "1,2,3:a\n", "line 1: series come after @data"),
        ("ts", "@timestamps true\n" + HEAD, "line 4: @timeStamps true is not read"),
        ("ts", "@classLabel false\n@data\n1,2:3\n", "line 2: the header has no line @classLabel true"),
        ("ts", "@targetLabel true\n@data\n1,2:3\n", "line 2: the header has no line @classLabel true"),
        ("ts", HEAD + "1:a\n", "1 series of 1 channels and 1 values; needed is one at least, of two values"),
        ("txt", "1 2 3\n2 3\n", "Set_TRAIN.txt line 2: 1 values, line 1 has 2 values"),
        ("tsv", "1\t2\tNaN\n", "Set_TRAIN.tsv line 1: value 2 of 2 is nan; fill in"),
        ("tsv", "1\t2\t1e39\n", r"line 1: value 2 of 2 is 1e\+39"),
        ("csv", "label,0,1\na,one,2\n", "Set_TRAIN.csv line 2: what should be values is none: .*'one'"),
        ("csv", "NaN,0,1\n", "line 1: the label is missing"),
        ("csv", "1\n2\n", "2 series of 1 channels and 0 values"),
        ("csv", "1,0.5,,0.7\n2,0.1,,0.3\n", "line 1: value 2 of 3 is missing; fill it in"),
        ("tsv", "1\t0.5\t\t0.7\n", "line 1: value 2 of 3 is missing"),
        ("csv", ",0.5,0.6\n,0.1,0.2\n", "line 1: the label is missing"),
        ("tsv", "\t0.5\t0.6\n", "line 1: the label is missing"),
        ("csv", ",,,\n", "line 1: value 1 of 3 is missing"),
        ("txt", "1 0,5 0,7\n", "line 1: what should be values is none: .*'5 0'"),
        ("csv", "1,2,3\n2 3 4\n", "line 2: 0 values, line 1 has 2 values"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_read_is_named_by_its_line(ending, text, message, tmp_path):
    (tmp_path / f"Set_TRAIN.{ending}").write_text(text)
    (tmp_path / f"Set_TEST.{ending}").write_text(text)
    with pytest.raises(DataError, match=message):
        read_ucr(tmp_path, "Set")


@pytest.mark.parametrize("ending", ("csv", "ts"))
def test_a_mark_of_the_byte_order_is_no_part_of_the_file(ending, tmp_path):
    text = {"csv": "1,2,3\n2,3,4\n", "ts": HEAD.replace("a b", "1 2") + "2,3:1\n3,4:2\n"}[ending]
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"Set_{part}.{ending}").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_ucr(tmp_path, "Set").classes == ["1", "2"]


def test_labels_of_bytes_are_text(tmp_path):
    np.savez(
        tmp_path / "Set.npz",
        **{f"X_{p}": VALUES for p in ("train", "test")},
        **{f"y_{p}": np.array([b"a", b"b"]) for p in ("train", "test")},
    )
    assert read_ucr(tmp_path, "Set").classes == ["a", "b"]


VALUES, LABELS = np.zeros((2, 5, 1)), np.arange(2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X_train": VALUES, "y": LABELS}, r"has the arrays X_train, y; X_train and y_train are needed"),
        ({"X_train": VALUES, "y_train": np.arange(3)}, r"X_train is float64 \(2, 5, 1\) and y_train \(3,\)"),
        ({"X_train": VALUES.astype(str), "y_train": LABELS}, "needed are numbers"),
        ({"X_train": VALUES * np.nan, "y_train": LABELS}, r"X_train\[0\]: value 1 of 5 is nan, and 4 more"),
        ({"X_train": np.array([[1], [2, 3]], dtype=object), "y_train": LABELS}, "is no .npz file of plain arrays"),
        ({"X_train": np.zeros((2, 1, 5)), "y_train": LABELS}, "2 series of 5 channels and 1 values"),
    ],
)
def test_arrays_that_cannot_be_read(arrays, message, tmp_path):
    np.savez(tmp_path / "Set.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_ucr(tmp_path, "Set")


def test_a_file_that_is_cut_is_no_archive(tmp_path):
    write_npz(tmp_path, "Set", tones(4, 0), tones(4, 1))
    data = (tmp_path / "Set.npz").read_bytes()
    for length in (0, 3, 500, len(data) - 30):
        (tmp_path / "Set.npz").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"Set\.npz is no \.npz file"):
            read_ucr(tmp_path, "Set")


def test_sets_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere; give the one that holds Coffee_TRAIN.ts"):
        read_ucr(tmp_path / "nowhere", "Coffee")
    write_ts(tmp_path, "Tea", tones(4, 0), tones(4, 1))
    write_npz(tmp_path / "Milk", "Milk", tones(4, 0), tones(4, 1))
    with pytest.raises(DataError, match=r"there is no set 'Coffee' .* Sets that are there: Milk, Tea\."):
        read_ucr(tmp_path, "Coffee")
    (tmp_path / "Tea_TEST.ts").unlink()
    with pytest.raises(DataError, match=r"there is .*Tea_TRAIN\.ts, but not .*Tea_TEST\.ts"):
        read_ucr(tmp_path, "Tea")


def test_parts_that_do_not_fit_each_other(tmp_path):
    write_ts(tmp_path, "Long", tones(4, 0), tones(4, 1, length=41))
    with pytest.raises(DataError, match=r"Long_TRAIN.ts has 1 x 40 and .*Long_TEST.ts has 1 x 41 values"):
        read_ucr(tmp_path, "Long")
    values, waves = tones(4, 1)
    write_npz(tmp_path, "Other", tones(4, 0), (values, waves + 2))
    with pytest.raises(DataError, match=r"has the classes 4, 7, which .* has not \(2, 5\)"):
        read_ucr(tmp_path, "Other")


def test_the_archives_own_files_are_as_the_card_says(real_data):
    counts = yaml.safe_load(packaged_file("cards", "ucr").read_text())["counts"]
    assert ucr_names(real_data / "ucr") == sorted(counts)
    for name, count in counts.items():
        found = read_ucr(real_data / "ucr", name)
        assert found.train.values.shape == (count["train"], 1, count["length"])
        assert found.test.values.shape == (count["test"], 1, count["length"])
        assert len(found.classes) == count["classes"] == len(found.train.labels.unique())
        # They come normalised, rounded and with other deviations (some by length - 1).
        normalised = read_ucr(real_data / "ucr", name, z_normalise=True).train.values
        torch.testing.assert_close(found.train.values, normalised, rtol=0.03, atol=1e-3)
