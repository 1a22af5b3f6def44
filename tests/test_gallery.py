"""The page of transforms shows what its script makes."""

import json
import re
from pathlib import Path

import pytest

from dctnet import transforms
from experiments import gallery

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "transforms.md").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    gallery.main([str(folder)])
    return folder


def test_the_tables_are_the_figures(made):
    figures = json.loads((made / "figures.json").read_text())
    committed = json.loads((ROOT / "docs" / "pictures" / "figures.json").read_text())
    for name, rows in figures.items():
        for row, kept in zip(rows, committed[name], strict=True):
            assert row["transform"] == kept["transform"]
            if name != "noise":  # other versions of torch may draw other numbers
                assert (row["mean"], row["luma"]) == pytest.approx((kept["mean"], kept["luma"]), abs=0.02)
                if name not in ("tone", "policies"):  # a curve with jumps may throw a single sample by rounding
                    assert row["max"] == pytest.approx(kept["max"], abs=0.05)
    assert gallery.page(PAGE, committed) == PAGE


def test_exact_transforms_leave_luma_as_the_pixels_have_it(made):
    figures = json.loads((made / "figures.json").read_text())
    exact = [row for name in ("geometric", "crops", "affine", "boxes") for row in figures[name]]
    exact.append(figures["detail"][0])
    assert len(exact) == 20 and max(row["luma_max"] for row in exact) < 1e-9
    colour = {row["transform"]: row for row in figures["colour"]}
    assert max(colour[name]["max"] for name in ("brightness 1.3", "invert")) < 1e-9
    # torchvision's gray weighs red by 0.2989, JPEG's by 0.299; red reaches 262 here, for no sample was clamped.
    assert max(colour[name]["max"] for name in ("contrast 1.3", "saturation 1.3", "grayscale")) < 1e-4 * 263


def test_each_public_transform_has_a_picture(made):
    """Each row of a sheet says what it shows, each sheet stands on the page, and together they show all there is."""
    figures = json.loads((made / "figures.json").read_text())
    rows = [row["transform"].removesuffix(gallery.ALONE) for sheet in figures.values() for row in sheet]
    assert sorted(rows) == sorted(gallery.SHOWS)
    assert {name for names in gallery.SHOWS.values() for name in names} == set(transforms.__all__)
    assert (
        set(re.findall(r"\]\(pictures/(\w+)\.jpg\)", PAGE))
        == set(figures)
        == set(re.findall(r"<!-- (\w+) -->\n\|", PAGE))
    )


def test_noise_is_in_distribution_that_of_the_pixels():
    """Of luma, both beside the photograph: means and deviations within five standard errors, of 224 * 224 samples."""
    planes = gallery.photograph("china.jpg")
    sides = gallery.families(planes, planes)["noise"]["normal noise, sigma 20"]
    before = gallery.shown(planes)
    for side, given in zip(sides, (planes, before), strict=True):
        noise = ((side(given) - before) * gallery.LUMA).sum(0)
        assert abs(noise.mean()) < 5 * 20 / 224
        assert abs(noise.std() - 20) < 5 * 20 / (224 * 2**0.5)


def test_pictures_and_names_are_there(made):
    for target in re.findall(r"\]\((pictures/[^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists() and 10_000 < (
            made / Path(target).name
        ).stat().st_size <= gallery.LARGEST
    for name in re.findall(r"`([A-Z]\w+)`", PAGE):
        assert hasattr(transforms, name) or name == "ValueError", name
