"""Folders of JPEG files transformed: the same integers in other places, whole files, and one line for what cannot be."""

from __future__ import annotations

import errno
import io
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from dctnet.cli import main
from dctnet.data import transform_folder as module
from dctnet.data.folder import DataError
from dctnet.data.transform_folder import transform_folder
from dctnet.jpeg import lossless, reader
from dctnet.jpeg.reader import read_jpeg
from dctnet.jpeg.writer import write_jpeg
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import CenterCrop, RandomResizedCrop, Resize
from dctnet.transforms.normalize import Normalize
from tests.test_decoder import jpeg, picture
from tests.test_reader import exif
from tests.test_writer import assert_equal

BANDS = [[0.0] * 64] * 3


@pytest.fixture
def source(tmp_path) -> Path:
    """Four files in two folders: 4:2:0, gray, progressive, and one with an orientation."""
    folder = tmp_path / "source"
    (folder / "a" / "deep").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "a" / "one.jpg").write_bytes(jpeg(picture(48, 64), quality=80))
    (folder / "a" / "deep" / "gray.JPEG").write_bytes(jpeg(picture(32, 48, "L")))
    (folder / "b" / "progressive.jpg").write_bytes(jpeg(picture(64, 64, seed=1), progressive=True))
    (folder / "b" / "turned.jpg").write_bytes(jpeg(picture(32, 64), exif=exif("big", 6)))
    return folder


def files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != module.MARK)


def test_every_file_holds_the_integers_moved(source, tmp_path):
    made = transform_folder(source, tmp_path / "target", lossless.horizontal_flip)
    assert made == (4, 0, [])
    assert files(tmp_path / "target") == files(source)
    for name in files(source):
        truth = lossless.horizontal_flip(read_jpeg(source / name))
        assert_equal(read_jpeg(tmp_path / "target" / name), truth)
        assert read_jpeg(tmp_path / "target" / name).orientation == truth.orientation


def test_no_operation_at_all_keeps_pixels_and_makes_files_smaller(source, tmp_path):
    assert main(["transform", str(source), str(tmp_path / "target")]) == 0
    for name in files(source):
        with Image.open(source / name) as before, Image.open(tmp_path / "target" / name) as after:
            np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
    assert (tmp_path / "target" / "a" / "one.jpg").stat().st_size < (source / "a" / "one.jpg").stat().st_size


def test_a_run_goes_on_where_it_stopped(source, tmp_path, monkeypatch):
    target, written = tmp_path / "target", []
    whole = module.write_whole

    def full_disk(path, data, sync=True):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        whole(path, data, sync=sync)

    monkeypatch.setattr(module, "write_whole", full_disk)
    with pytest.raises(OSError, match="No space left"):
        transform_folder(source, target, lossless.transpose, threads=1)
    done = {path: path.stat().st_mtime_ns for path in written if path.suffix != ".json"}
    assert len(done) == 2
    monkeypatch.setattr(module, "write_whole", whole)
    assert transform_folder(source, target, lossless.transpose)[:2] == (2, 2)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    changed = source / "a" / "one.jpg"
    changed.write_bytes(jpeg(picture(16, 16)))
    os.utime(changed, ns=(2**62, 2**62))
    assert transform_folder(source, target, lossless.transpose)[:2] == (1, 3)
    assert read_jpeg(target / "a" / "one.jpg").size == (16, 16)


def test_files_that_cannot_be_made_are_listed_and_tried_again(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(reader, "_through_pixels", 0)  # the first of a process brings a warning in Python
    bad = source / "a" / "bad.jpg"
    bad.write_bytes(jpeg(picture(40, 40))[:-200])
    (source / "a" / "odd.jpg").write_bytes(jpeg(picture(20, 33)))
    file = io.BytesIO()
    picture(16, 16).save(file, "PNG")
    (source / "b" / "png.jpg").write_bytes(file.getvalue())
    arguments = ["transform", str(source), str(tmp_path / "target"), "--flip", "horizontal"]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "4 files written, 0 were there already" in printed.out
    listed = (tmp_path / "target" / "broken.csv").read_text()
    for shown in (printed.err, listed):
        assert "a/bad.jpg" in shown
        assert "in the middle of entropy-coded data" in shown
        assert "its width is 33. trim cuts it down to 32" in shown
        assert "no coefficients to be kept (not a JPEG file" in shown
        assert all(line.count("bad.jpg") <= 1 for line in shown.splitlines()) and "UserWarning" not in shown
    bad.write_bytes(jpeg(picture(32, 32)))
    assert main(arguments) == 1
    assert "1 files written, 4 were there already" in capsys.readouterr().out
    assert "bad.jpg" not in (tmp_path / "target" / "broken.csv").read_text()


def test_files_that_come_through_pixels_are_counted(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(reader, "_through_pixels", 0)
    picture(40, 40).convert("CMYK").save(source / "b" / "ink.jpg", "JPEG")
    arguments = ["transform", str(source), str(tmp_path / "target"), "--resize", "16", "--quality", "90"]
    assert main(arguments) == 0
    assert capsys.readouterr().err == "1 files hold no coefficients that can be read, and came through pixels\n"


def test_operations_are_carried_out_in_their_order(source, tmp_path):
    words = (
        "--upright --crop 16 0 16 32 --rotate 90 --flip vertical --transpose --grayscale --trim --restart-interval 3"
    )
    assert main(["transform", str(source), str(tmp_path / "target"), *words.split()]) == 0
    for name in files(source):
        image = lossless.crop(lossless.upright(read_jpeg(source / name), trim=True), 16, 0, 16, 32)
        image = lossless.vertical_flip(lossless.rotate(image, 90))
        assert_equal(read_jpeg(tmp_path / "target" / name), lossless.grayscale(lossless.transpose(image)))
        assert b"\xff\xdd\0\4\0\3" in (tmp_path / "target" / name).read_bytes()


def test_resized_files_are_the_transform_rounded_to_the_files_steps(source, tmp_path):
    arguments = ["transform", str(source), str(tmp_path / "own"), "--resize", "30", "--center-crop", "25"]
    assert main(arguments) == 0
    arguments[2] = str(tmp_path / "fine")
    assert main([*arguments, "--quality", "97"]) == 0
    compose = Compose([Resize(30), CenterCrop(25)], block_size=8)
    for name in files(source):
        image = read_jpeg(source / name)
        for folder in ("own", "fine"):
            made = read_jpeg(tmp_path / folder / name)
            assert made.size == (25, 25)
            assert made.orientation == image.orientation
            assert made.subsampling == ("gray" if "gray" in name else "4:2:0")
            for ours, truth, steps in zip(made.coefficients, compose(image), made.quantization, strict=False):
                assert bool(((ours - truth).abs() <= steps.to(torch.float32)[:, None, None] / 2 + 1e-3).all())
        assert read_jpeg(tmp_path / "own" / name).quantization.tolist() == image.quantization.tolist()


def test_random_draws_are_keyed_by_seed_and_file(source, tmp_path):
    compose = Compose([RandomResizedCrop(32)], block_size=8)
    for name, options in {"a": {}, "b": {"threads": 1}, "c": {"seed": 1}}.items():
        transform_folder(source, tmp_path / name, compose, quality=90, **options)
    same = [(tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files(source)]
    other = [(tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes() for name in files(source)]
    assert all(same)
    assert not any(other)


def test_colour_profiles_stay_with_the_colours_they_describe(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "x.jpg").write_bytes(jpeg(picture(16, 16), icc_profile=profile))
    for name, step, kept in (("color", lossless.transpose, profile), ("gray", lossless.grayscale, None)):
        transform_folder(tmp_path / "source", tmp_path / name, step)
        with Image.open(tmp_path / name / "x.jpg") as opened:
            assert opened.info.get("icc_profile") == kept


def test_raw_integers_where_products_leave_int16(tmp_path):
    image = read_jpeg(jpeg(picture(16, 16, "L")), dequantize=False)
    steps = torch.full((1, 64), 60000, dtype=torch.int32).to(torch.uint16)
    (tmp_path / "source").mkdir()
    fields = {field: getattr(image, field) for field in image.__slots__} | {"quantization": steps}
    (tmp_path / "source" / "x.jpg").write_bytes(write_jpeg(type(image)(**fields)))
    assert "cut off" in transform_folder(tmp_path / "source", tmp_path / "a", lossless.transpose).broken[0].reason
    assert transform_folder(tmp_path / "source", tmp_path / "b", lossless.transpose, dequantize=False).written == 1
    assert main(["transform", str(tmp_path / "source"), str(tmp_path / "c"), "--transpose"]) == 0


def test_targets_that_are_refused(source, tmp_path, capsys):
    target = tmp_path / "target"
    assert main(["transform", str(source), str(target), "--rotate", "180"]) == 0
    assert json.loads((target / module.MARK).read_text()) == {
        "operations": "--rotate 180",
        "quality": None,
        "restart_interval": 0,
        "seed": 0,
    }
    assert main(["transform", str(source), str(target), "--rotate", "90"]) == 2
    assert "holds files made otherwise" in capsys.readouterr().err
    for path, says in (
        (source, "lie in each other"),
        (source / "a" / "new", "lie in each other"),
        (tmp_path, "lie in each other"),
    ):
        with pytest.raises(DataError, match=says):
            transform_folder(source, path, lossless.transpose)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.jpg").touch()
    with pytest.raises(DataError, match="was not made by transform"):
        transform_folder(source, tmp_path / "other", lossless.transpose)
    (tmp_path / "empty").mkdir()
    for path, says in ((tmp_path / "missing", "there is no folder"), (tmp_path / "empty", "holds no JPEG file")):
        with pytest.raises(DataError, match=says):
            transform_folder(path, tmp_path / "new", lossless.transpose)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("transform", "options", "says"),
    [
        (None, {}, "got None"),
        ([lossless.transpose, 3], {}, "got 3"),
        (lossless.transpose, {"threads": 0}, "threads"),
        (lossless.transpose, {"quality": 50, "restart_interval": 0, "seed": 0}, "goes with a Compose"),
        (Compose([Resize(8)]), {"quality": 101, "restart_interval": 0, "seed": 0}, "1 to 100"),
        ([Compose([Resize(8)]), lossless.transpose], {}, "comes last"),
        (Compose([Normalize(BANDS, [[1.0] * 64] * 3)]), {}, "Normalize leaves the scale"),
    ],
)
def test_bad_arguments(source, tmp_path, transform, options, says):
    with pytest.raises(ValueError, match=says):
        transform_folder(source, tmp_path / "target", transform, **options)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--resize 8 --transpose", "comes after what is without loss"),
        ("--transpose --quality 50", "--quality goes with --resize"),
        ("--resize 8 --quality 500", "1 to 100"),
    ],
)
def test_a_bad_command_line_is_one_line(source, tmp_path, capsys, words, says):
    assert main(["transform", str(source), str(tmp_path / "target"), *words.split()]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1


def test_a_function_of_ones_own(source, tmp_path):
    crop = partial(lossless.crop, top=0, left=0, height=20, width=30)
    made = transform_folder(source, tmp_path / "target", [lossless.grayscale, crop])
    assert made.written == 4
    assert {read_jpeg(tmp_path / "target" / name).size for name in files(source)} == {(20, 30)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resize", "0"], "size is 1 or 2 whole numbers at least 1; got 0"),
        (["--center-crop", "-1"], "size is 1 or 2 whole numbers at least 1; got -1"),
        (["--crop", "0", "0", "0", "8"], "a box of 1x1 pixel at least; got 0 0 0 8"),
        (["--crop", "-8", "0", "8", "8"], "got -8 0 8 8"),
        (["--restart-interval", "99999"], "0 to 65535; got 99999"),
    ],
)
def test_numbers_that_fit_no_file_are_refused_before_any_is_read(source, tmp_path, capsys, options, message):
    assert main(["transform", str(source), str(tmp_path / "target"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "target").exists()


def test_a_damaged_mark_is_named(source, tmp_path, capsys):
    assert main(["transform", str(source), str(tmp_path / "target"), "--rotate", "180"]) == 0
    (tmp_path / "target" / module.MARK).write_text("{")
    assert main(["transform", str(source), str(tmp_path / "target"), "--rotate", "180"]) == 2
    assert "transformed.json is damaged" in capsys.readouterr().err
