"""``dctnet prepare``: whole, repeatable data sets, and messages that say what is missing."""

import hashlib
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, CIFAR100

from dctnet.data.digits import draw_digit
from dctnet.data.folder import DataError, JPEGFolder
from dctnet.data.imagenet import DEVKIT
from dctnet.data.recipes import PARTIAL_MARK, RECIPES, prepare
from dctnet.jpeg.reader import read_jpeg
from dctnet.packaged import packaged_file, packaged_folder, packaged_names


def checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return prepare("digits", tmp_path_factory.mktemp("recipes") / "digits")


def test_digits_are_byte_identical_when_made_again(digits, tmp_path):
    first, second = checksums(digits), checksums(prepare("digits", tmp_path / "again"))
    assert len(first) == 1797 + 1 and first == second


def test_digits_hold_every_digit_once_under_its_label(digits):
    target = load_digits().target
    files = sorted(digits.glob("*/*/*.jpg"), key=lambda path: path.stem)
    assert [int(path.stem) for path in files] == list(range(1797))
    assert [int(path.parent.name) for path in files] == target.tolist()
    for digit in range(10):
        share = len(list((digits / "val" / str(digit)).iterdir())) / (target == digit).sum()
        assert abs(share - 0.2) < 0.005


def test_digits_are_420_colour_jpegs_of_quality_75(digits):
    for path in sorted(digits.glob("val/*/*.jpg"))[::40]:
        image = read_jpeg(path)
        assert image.size == (64, 64) and image.subsampling == "4:2:0" and image.from_pixels is None
        # ITU-T T.81 table K.1 at quality 75: (16 * 50 + 50) // 100 for its first entry
        assert image.quantization[0, 0] == 8
    assert len(JPEGFolder(digits / "train")) == 1438 and len(JPEGFolder(digits / "val")) == 359


def test_digits_differ_from_what_they_cover():
    gray = [np.full((200, 200, 3), level, dtype=np.uint8) for level in (30, 220)]
    ink = np.zeros((8, 8))
    ink[1:7, 3:5] = 16
    for seed in range(20):
        pixels = draw_digit(ink, gray, np.random.default_rng(seed)).astype(float) @ [0.299, 0.587, 0.114]
        ground = 30 if abs(np.median(pixels) - 30) < 2 else 220
        assert np.abs(pixels - ground).max() > 80  # at least 100 levels at an opacity of at least 0.85
        assert (np.abs(pixels - ground) < 2).mean() > 0.5


def test_preparing_twice_does_nothing(digits, capsys):
    before = {path: path.stat().st_mtime_ns for path in digits.rglob("*")}
    prepare("digits", digits)
    assert "already" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in digits.rglob("*")}


def test_a_folder_with_something_else_is_left_alone(digits, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all my work")
    with pytest.raises(DataError, match="was not made by"):
        prepare("digits", tmp_path / "mine")
    with pytest.raises(DataError, match="holds the data set 'digits'"):
        prepare("cifar10", digits)
    with pytest.raises(DataError, match="there is no data set 'mnist'; there are: digits"):
        prepare("mnist", tmp_path / "mnist")


def test_a_killed_run_leaves_no_half_data_set(tmp_path, monkeypatch):
    def stops(folder, source):
        (folder / "train" / "a").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setitem(RECIPES, "digits", stops)
    (tmp_path / "digits.partial" / "train").mkdir(parents=True)  # as a SIGKILL leaves it
    (tmp_path / "digits.partial" / PARTIAL_MARK).touch()
    with pytest.raises(KeyboardInterrupt):
        prepare("digits", tmp_path / "digits")
    assert list(tmp_path.iterdir()) == []


def test_a_partial_folder_of_ones_own_is_left_alone(tmp_path):
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "thesis.txt").write_text("all my work")
    with pytest.raises(DataError, match=r"mine\.partial is in the way and was not made by"):
        prepare("digits", tmp_path / "mine")
    assert (tmp_path / "mine.partial" / "thesis.txt").read_text() == "all my work"


def test_the_present_folder_is_filled_if_empty(tmp_path, monkeypatch):
    source = own_pictures(tmp_path / "photos", {"cat": 4})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = prepare("folder", ".", source)
    assert {path.name for path in Path().iterdir()} == {"train", "val", "prepared.json"}
    assert len(JPEGFolder(made / "train")) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "here"}


def test_two_files_for_one_place_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for name in ("a/train/cat/1.jpg", "b/train/cat/1.jpg", "a/val/cat/2.jpg"):
            archive.writestr(name, b"")
    with pytest.raises(DataError, match=r"two files that belong at train/cat/1\.jpg: a/train/cat/1\.jpg and b/"):
        prepare("clothing", tmp_path / "out", tmp_path / "two.zip")
    assert not (tmp_path / "out").exists()


@pytest.fixture(params=[CIFAR10, CIFAR100])
def kind(request):
    return request.param


@pytest.fixture
def batches(tmp_path, monkeypatch, kind):
    """A CIFAR of 20 + 10 pictures of ten classes in torchvision's format, with the checksums that torchvision is to expect."""
    folder = tmp_path / "root" / kind.base_folder
    key = "fine_labels" if kind is CIFAR100 else "labels"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"thing{i}" for i in range(10)]

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def split(name):
        data = rng.integers(0, 256, (10, 3 * 32 * 32), dtype=np.uint8)
        return write(name, {"data": data, key: rng.permutation(10).tolist()})

    monkeypatch.setattr(kind, "train_list", [split("data_batch_1"), split("data_batch_2")])
    monkeypatch.setattr(kind, "test_list", [split("test_batch")])
    meta = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(kind, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    return tmp_path / "root"


def test_cifar_from_torchvisions_files(batches, tmp_path, kind):
    name = kind.__name__.lower()
    made = prepare(name, tmp_path / "out", batches)
    data = kind(batches, train=True)
    files = sorted(made.glob("train/*/*.jpg"), key=lambda path: path.stem)
    assert [path.parent.name for path in files] == [data.classes[label] for label in data.targets]
    expected = io.BytesIO()
    Image.fromarray(data.data[13]).save(expected, "JPEG", quality=75, subsampling="4:2:0")
    assert files[13].read_bytes() == expected.getvalue()
    assert json.loads((made / "prepared.json").read_text()) == {
        "name": name,
        "classes": 10,
        "train": 20,
        "val": 10,
    }


def test_cifar_that_torchvision_refuses(batches, tmp_path, kind):
    (batches / kind.base_folder / "test_batch").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"is not CIFAR-(10|100) as distributed"):
        prepare(kind.__name__.lower(), tmp_path / "out", batches)
    assert not (tmp_path / "out").exists()


def test_cifar10_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(
        CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz"
    )  # nobody listens on the discard port
    with pytest.raises(DataError, match=r"could not be downloaded .* Without a network give --source"):
        prepare("cifar10", tmp_path / "out")


@pytest.mark.parametrize("packed", [True, False])
def test_trees_of_jpeg_files_are_copied_byte_by_byte(digits, tmp_path, packed):
    wanted = {}
    for split, target in (("train", "train"), ("test", "val")):
        for path in sorted((digits / target).glob("[01]/*.jpg"))[:6]:
            place = tmp_path / "tree" / "cifar-main" / split / path.parent.name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
            wanted[f"{target}/{path.parent.name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "tree" / "cifar-main" / "LICENSE").write_text("none stated")
    source = tmp_path / "tree"
    if packed:
        source = tmp_path / "tree.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in (tmp_path / "tree").rglob("*"):
                archive.write(path, path.relative_to(tmp_path / "tree"))
    made = checksums(prepare("cifar10", tmp_path / "out", source))
    made.pop("prepared.json")
    assert made == wanted


def test_a_source_of_another_form(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no JPEG files at train/CLASS/NAME\.jpg"):
        prepare("cifar10", tmp_path / "out", tmp_path / "empty")
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        prepare("clothing", tmp_path / "out", tmp_path / "absent.zip")
    with pytest.raises(DataError, match="give --source"):
        prepare("clothing", tmp_path / "out")


@pytest.fixture
def ilsvrc(digits, tmp_path):
    """Three synsets, two pictures each for training, and four flat validation pictures with a devkit."""
    source = tmp_path / "ilsvrc"
    pictures = sorted(digits.glob("train/*/*.jpg"))
    wnids = ["n03", "n01", "n02"]
    for i, wnid in enumerate(wnids):
        (source / "train" / wnid).mkdir(parents=True)
        for k in range(2):
            (source / "train" / wnid / f"{wnid}_{k}.JPEG").write_bytes(pictures[2 * i + k].read_bytes())
    (source / "val").mkdir()
    for k in range(4):
        (source / "val" / f"ILSVRC2012_val_{k + 1:08d}.JPEG").write_bytes(pictures[50 + k].read_bytes())
    data = source / DEVKIT / "data"
    data.mkdir(parents=True)
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n1\n3\n2\n")
    from scipy.io import savemat

    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    savemat(data / "meta.mat", {"synsets": np.array([(i + 1, w, w) for i, w in enumerate(wnids)], dtype=kinds)})
    return source


@pytest.mark.parametrize("packed", [False, True])
def test_imagenet_is_linked_and_sorted_by_the_devkit(ilsvrc, tmp_path, packed):
    if packed:
        with tarfile.open(ilsvrc / f"{DEVKIT}.tar.gz", "w:gz") as archive:
            archive.add(ilsvrc / DEVKIT, DEVKIT)
        (ilsvrc / DEVKIT).rename(tmp_path / "elsewhere")
    made = prepare("imagenet", tmp_path / "out", ilsvrc)
    train, val = JPEGFolder(made / "train"), JPEGFolder(made / "val")
    assert train.classes == val.classes == ["n01", "n02", "n03"] and len(train) == 6
    names = {os.path.basename(val.path(i)): val.classes[val.label(i)] for i in range(len(val))}
    assert names == {f"ILSVRC2012_val_{k:08d}.JPEG": w for k, w in ((1, "n01"), (2, "n03"), (3, "n02"), (4, "n01"))}
    assert os.path.samefile(val.path(0), ilsvrc / "val" / os.path.basename(val.path(0)))
    assert read_jpeg(val.path(0)).size == (64, 64)


def test_imagenet_with_validation_in_class_folders(ilsvrc, tmp_path):
    flat = sorted((ilsvrc / "val").iterdir())
    for path, wnid in zip(flat, ("n01", "n03", "n02", "n01"), strict=True):
        (ilsvrc / "val" / wnid).mkdir(exist_ok=True)
        path.rename(ilsvrc / "val" / wnid / path.name)
    made = prepare("imagenet", tmp_path / "out", ilsvrc)
    assert len(JPEGFolder(made / "val")) == 4


def test_imagenet_says_what_is_missing(ilsvrc, tmp_path):
    with pytest.raises(DataError, match="imagenet needs --source"):
        prepare("imagenet", tmp_path / "out")
    truth = ilsvrc / DEVKIT / "data" / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("1\n2\n")
    with pytest.raises(DataError, match="holds 4 pictures, the devkit's ground truth names 2"):
        prepare("imagenet", tmp_path / "out", ilsvrc)
    (ilsvrc / DEVKIT).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"the devkit .* is missing"):
        prepare("imagenet", tmp_path / "out", ilsvrc)
    (ilsvrc / "train").rename(tmp_path / "train")
    with pytest.raises(DataError, match=r"neither train/ nor ILSVRC2012_img_train\.tar"):
        prepare("imagenet", tmp_path / "out", ilsvrc)
    (ilsvrc / "ILSVRC2012_img_train.tar").write_bytes(b"not the archive")
    with pytest.raises(DataError, match="corrupted"):
        prepare("imagenet", tmp_path / "out", ilsvrc)


def test_every_recipe_has_a_card_that_tells_the_truth(digits):
    assert packaged_names("cards") == sorted([*RECIPES, "ucr"])  # files of series are read as they are
    for name in packaged_names("cards"):
        card = yaml.safe_load(packaged_file("cards", name).read_text())
        assert card["name"] == name
        assert {"source", "licence", "counts", "needs", "writes"} <= card.keys()
    made = json.loads((digits / "prepared.json").read_text())
    counts = yaml.safe_load(packaged_file("cards", "digits").read_text())["counts"]
    assert counts == {key: made[key] for key in ("classes", "train", "val")}


def test_names_that_do_not_exist():
    with pytest.raises(FileNotFoundError, match=r"there is no config called 'nothing'.*known: .*digits"):
        packaged_file("configs", "nothing")
    assert packaged_folder("configs").is_dir()


def own_pictures(root: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (root / name / "series").mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (16, 16), (number, 0, 0)).save(root / name / "series" / f"{number}.JPG")
    return root


def test_a_folder_of_ones_own_is_parted_without_a_copy(tmp_path):
    source = own_pictures(tmp_path / "photos", {"cat": 20, "dog": 2})
    made = prepare("folder", tmp_path / "made", source)
    parts = {
        split: {path.relative_to(made / split).as_posix() for path in (made / split).rglob("*.JPG")}
        for split in ("train", "val")
    }
    assert not parts["train"] & parts["val"]
    assert parts["train"] | parts["val"] == {path.relative_to(source).as_posix() for path in source.rglob("*.JPG")}
    assert sum(name.startswith("cat/") for name in parts["val"]) == 4
    assert sum(name.startswith("dog/") for name in parts["val"]) == 1
    assert all(path.is_symlink() and path.exists() for path in made.rglob("*.JPG"))
    again = prepare("folder", tmp_path / "again", source)
    assert {path.relative_to(again / "val").as_posix() for path in (again / "val").rglob("*.JPG")} == parts["val"]


def test_a_class_of_one_picture_cannot_be_parted(tmp_path):
    source = own_pictures(tmp_path / "photos", {"cat": 5, "dog": 1})
    with pytest.raises(DataError, match=r"class 'dog' .* has 1 JPEG files"):
        prepare("folder", tmp_path / "made", source)
    with pytest.raises(DataError, match="--source"):
        prepare("folder", tmp_path / "made")
    assert not (tmp_path / "made").exists()
