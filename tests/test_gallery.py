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
            if not row["transform"].startswith("noise"):  # other versions of torch may draw other numbers
                assert (row["mean"], row["luma"]) == pytest.approx((kept["mean"], kept["luma"]), abs=0.02)
                if name != "tone":  # a curve with jumps may throw a single sample by rounding
                    assert row["max"] == pytest.approx(kept["max"], abs=0.05)
    assert gallery.page(PAGE, committed) == PAGE


def test_exact_transforms_leave_luma_as_the_pixels_have_it(made):
    figures = json.loads((made / "figures.json").read_text())
    exact = [*figures["geometric"], *figures["affine"], *figures["boxes"], figures["detail"][0]]
    assert len(exact) == 15 and max(row["luma_max"] for row in exact) < 1e-9
    colour = {row["transform"]: row for row in figures["colour"]}
    assert max(colour[name]["max"] for name in ("brightness 1.3", "invert")) < 1e-9
    # torchvision's gray weighs red by 0.2989, JPEG's by 0.299; red reaches 262 here, for no sample was clamped.
    assert max(colour[name]["max"] for name in ("contrast 1.3", "saturation 1.3", "grayscale")) < 1e-4 * 263


def test_pictures_and_names_are_there(made):
    for target in re.findall(r"\]\((pictures/[^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists() and 10_000 < (
            made / Path(target).name
        ).stat().st_size <= gallery.LARGEST
    for name in re.findall(r"`([A-Z]\w+)`", PAGE):
        assert hasattr(transforms, name) or name == "ValueError", name
