"""``dctnet stats`` against numpy on all coefficients in memory, and laws of its arithmetic."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from dctnet.cli import main
from dctnet.data import measure as module
from dctnet.data.folder import DataError, find_images
from dctnet.data.measure import measure
from dctnet.data.moments import merge, moments_of
from dctnet.jpeg.reader import read_jpeg
from dctnet.packaged import packaged_file, packaged_names
from dctnet.statistics import read_statistics
from dctnet.transforms import Compose, Normalize, Resize
from tests.test_decoder import picture

KINDS = [((40, 64), 2), ((33, 50), 2), ((64, 48), 0), ((57, 57), 1), ((80, 24), None)]  # None: gray


@pytest.fixture
def folder(tmp_path):
    """Pictures of several sizes and samplings in two classes, one of them progressive."""
    for number, (size, subsampling) in enumerate(KINDS * 2):
        path = tmp_path / "files" / f"class{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = picture(*size).rotate(number)
        options = {} if subsampling is None else {"subsampling": subsampling}
        image.convert("L" if subsampling is None else "RGB").save(
            path, quality=80 + number, progressive=number == 3, **options
        )
    return tmp_path / "files"


def in_memory(folder, resize, block_size):
    """All blocks (n, C) of Y, Cb and Cr in float64, through the transforms."""
    transform = Compose([] if resize is None else [Resize(resize)], block_size=block_size)
    samples = [transform(read_jpeg(path)) for path in find_images(folder)]
    return [
        np.concatenate([s[plane].movedim(0, -1).reshape(-1, s[plane].shape[0]).double().numpy() for s in samples])
        for plane in range(3)
    ]


@pytest.mark.parametrize(("resize", "block_size"), [(None, (8, 8)), (24, (8, 8)), (None, (4, 2)), (32, (2, 2))])
@pytest.mark.parametrize("at_once", [2**22, 640])
def test_equal_to_numpy_on_everything_at_once(folder, resize, block_size, at_once, monkeypatch):
    monkeypatch.setattr(module, "FILES_A_JOB", 3)
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    measured = measure(find_images(folder), resize=resize, block_size=block_size, workers=2)
    assert (measured.pictures, measured.broken) == (10, [])
    for blocks, moments in zip(in_memory(folder, resize, block_size), measured.moments, strict=True):
        assert moments.count == len(blocks)
        np.testing.assert_allclose(moments.mean, blocks.mean(0), rtol=1e-9, atol=1e-4)
        np.testing.assert_allclose(moments.std, blocks.std(0), rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(moments.energy, (blocks**2).mean(0), rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(moments.peak, np.abs(blocks).max(0), rtol=1e-6, atol=1e-4)


def test_integers_of_files_are_counted_exactly(tmp_path):
    """4:2:0 files of whole blocks need no transform: the figures are those of exact arithmetic."""
    for number, size in enumerate([(48, 64), (160, 32), (16, 16)]):
        picture(*size).save(tmp_path / f"{number}.jpg", quality=80 + number)
    paths = find_images(tmp_path)
    measured = measure(paths)
    blocks = np.concatenate([read_jpeg(path).coefficients.y.flatten(1).numpy() for path in paths], 1).astype(object)
    for band in (0, 1, 8, 63):
        mean = Fraction(int(blocks[band].sum()), blocks.shape[1])
        energy = Fraction(int((blocks[band] ** 2).sum()), blocks.shape[1])
        assert measured.moments[0].mean[band] == pytest.approx(float(mean), rel=1e-13, abs=1e-13)
        assert measured.moments[0].std[band] == pytest.approx(float(energy - mean**2) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9])
def test_a_great_offset_costs_no_accuracy(offset):
    """Integers and an offset are exact in float64, so the deviation has to be that without the offset."""
    x = np.random.default_rng(0).integers(-9, 10, (5000, 3)).astype(float)
    total = None
    for part in np.array_split(x + offset, 37):
        total = merge(total, moments_of(part))
    np.testing.assert_allclose(total.std, x.std(0), rtol=1e-9)
    np.testing.assert_allclose(total.mean - offset, x.mean(0), atol=1e-15 * max(offset, 1) * 4, rtol=1e-9)
    if offset == 1e9:  # which the textbook's sums do not survive
        naive = ((x + offset) ** 2).mean(0) - (x + offset).mean(0) ** 2
        assert not np.allclose(naive, x.var(0), rtol=0.1)


def test_the_order_of_merging_does_not_matter():
    random = np.random.default_rng(1)
    x = random.normal(300, 20, (4000, 5))
    parts = [moments_of(part) for part in np.split(x, sorted(random.choice(np.arange(1, 4000), 60, replace=False)))]
    results = []
    for _ in range(10):
        total = None
        for number in random.permutation(len(parts)):
            total = merge(total, parts[number])
        results.append(total)
    while len(parts) > 1:  # as a tree
        parts = [
            merge(*pair) if len(pair) == 2 else pair[0] for pair in (parts[i : i + 2] for i in range(0, len(parts), 2))
        ]
    for total in (*results, moments_of(x)):
        assert total.count == 4000
        np.testing.assert_allclose(total.mean, parts[0].mean, rtol=1e-9)
        np.testing.assert_allclose(total.std, parts[0].std, rtol=1e-9)
        assert np.array_equal(total.peak, parts[0].peak)


def test_workers_change_nothing(folder, monkeypatch):
    monkeypatch.setattr(module, "FILES_A_JOB", 2)
    one, four = (measure(find_images(folder), workers=workers) for workers in (1, 4))
    for a, b in zip(one.moments, four.moments, strict=True):
        assert a.count == b.count and all(np.array_equal(x, y) for x, y in zip(a[1:], b[1:], strict=True))


def test_the_command_writes_the_card_that_normalize_reads(folder, tmp_path, capsys):
    (folder / "class0" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    card = tmp_path / "card.yaml"
    assert main(["stats", str(folder), "--out", str(card)]) == 0
    said = capsys.readouterr()
    assert "10 pictures, 1 files could not be read" in said.out
    assert "broken.jpg" in said.err
    facts = yaml.safe_load(card.read_text())
    assert facts["command"] == f"dctnet stats {folder}"
    assert (facts["pictures"], facts["broken"], facts["resize"]) == (10, 1, None)
    normalize = Normalize.from_card(card)
    blocks = in_memory_without(folder, "broken.jpg")
    made = [normalize(sample) for sample in blocks]
    for plane, count in enumerate(facts["blocks"].values()):
        x = torch.cat([sample[plane].flatten(1) for sample in made], 1).double()
        assert x.shape[1] == count
        varied = torch.tensor(list(facts["std"].values())[plane]) > 0
        assert float(x.mean(1).abs().max()) < 1e-4
        assert float((x.std(1, unbiased=False)[varied] - 1).abs().max()) < 1e-4
    assert list(tmp_path.glob(".*")) == []
    assert main(["stats", str(folder), "--block_size", "4", "2", "--resize", "32", "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["command"] == f"dctnet stats {folder} --block_size 4 2 --resize 32"
    assert read_statistics(card).block_size == (8, 8)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("block_size: [8, 8]", "block_size: [.inf, 8]"),
        lambda text: text.replace("block_size: [8, 8]", "block_size: [8.5, 8]"),
        lambda text: text.replace("block_size: [8, 8]", "block_size: [true, 8]"),
        lambda text: text.replace("block_size: [8, 8]", "block_size: '88'"),
        lambda text: text.replace("block_size: [8, 8]", "block_size: [1" + "0" * 400 + ", 8]"),
        lambda text: re.sub(r"(mean:\s+y: \[)[^,]+", r"\g<1>1" + "0" * 400, text),
        lambda text: re.sub(r"(mean:\s+y: \[)[^,]+", r"\g<1>true", text),
        lambda text: re.sub(r"(mean:\s+y: )\[[^]]+\]", r"\g<1>'" + "8" * 64 + "'", text),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_card_is_named(change, tmp_path):
    card = tmp_path / "card.yaml"
    text = packaged_file("statistics", "cifar10").read_text()
    card.write_text(text)
    assert read_statistics(card) == read_statistics("cifar10")
    card.write_text(change(text))
    assert card.read_text() != text
    with pytest.raises(ValueError, match=r"card.yaml is no card of `dctnet stats` .* make one: dctnet stats FOLDER"):
        read_statistics(card)


def in_memory_without(folder, name):
    return [Compose([], block_size=8)(read_jpeg(path)) for path in find_images(folder) if not path.endswith(name)]


def test_gray_pictures_have_chroma_that_never_varies(tmp_path):
    Image.effect_noise((64, 64), 50).convert("L").save(tmp_path / "gray.jpg")
    assert main(["stats", str(tmp_path), "--out", str(tmp_path / "card.yaml")]) == 0
    normalize = Normalize.from_card(tmp_path / "card.yaml")
    assert normalize.std.cb.tolist() == [1.0] * 64
    assert bool(normalize(read_jpeg(tmp_path / "gray.jpg").coefficients).cr.eq(0).all())


def test_cards_that_come_with_the_package():
    assert packaged_names("statistics") == ["cifar10", "imagenet_samples"]
    for name in packaged_names("statistics"):
        card = read_statistics(name)
        for mean, std, energy, peak in zip(*card[1:], strict=True):
            mean, std, energy, peak = map(np.array, (mean, std, energy, peak))
            np.testing.assert_allclose(energy, mean**2 + std**2, rtol=1e-5)
            assert (np.abs(mean) + std <= peak).all() and (std >= 0).all()
            assert std[0] == std.max()  # DC varies most


def test_the_card_of_the_real_files(real_data):
    """What ships is what these files hold, by numpy."""
    paths = find_images(real_data / "imagenet_samples")[:200]
    card = read_statistics("imagenet_samples")
    transform = Compose([], block_size=8)
    total, squares, count = np.zeros(64), np.zeros(64), 0
    for path in paths:
        luma = transform(read_jpeg(path)).y.flatten(1).double().numpy()
        total, squares, count = total + luma.sum(1), squares + (luma**2).sum(1), count + luma.shape[1]
    np.testing.assert_allclose(card.mean[0], total / count, atol=1e-4)
    np.testing.assert_allclose(card.energy[0], squares / count, rtol=1e-5)


def test_what_cannot_be_measured(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.jpg").write_bytes(b"nothing")
    for arguments, says in (
        ([str(tmp_path / "nowhere")], "there is no folder"),
        ([str(tmp_path / "empty")], "holds no JPEG file"),
        ([str(tmp_path / "damaged")], "none of 1 files could be read"),
        ([str(folder), "--block_size", "3"], "block size is one of"),
        ([str(folder), "--block_size", "8", "4", "2"], "block size is one of"),
        ([str(folder), "--resize", "0"], "at least 1 pixel; got 0"),
        ([str(folder), "--workers", "0"], "at least 1; got 0"),
        ([str(folder), "--out", "card.json"], "ends in .yaml"),
        (
            [str(tmp_path / "empty"), "--out", str(tmp_path / "nowhere" / "card.yaml")],
            f"no folder {tmp_path / 'nowhere'}",
        ),
    ):
        assert main(["stats", *arguments]) == 2
        assert says in capsys.readouterr().err
    with pytest.raises(DataError, match="none of 0 files"):
        measure([])


@pytest.mark.slow
def test_memory_is_bounded(tmp_path):
    """Six times the files take no more memory; both keep two workers busy."""
    peaks = []
    for count in (160, 960):
        files = tmp_path / str(count)
        files.mkdir()
        picture(480, 640).save(files / "0.jpg", quality=95)
        for number in range(1, count):
            (files / f"{number}.jpg").hardlink_to(files / "0.jpg")
        code = (
            "import resource; from dctnet.cli import main; "
            f"main(['stats', {str(files)!r}, '--out', {str(tmp_path / 'card.yaml')!r}]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < peaks[0] + 60_000  # KiB; the files more would be 700,000 decoded
