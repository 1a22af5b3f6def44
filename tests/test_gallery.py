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
    assert gallery.page(PAGE, committed) == PAGE


def test_exact_transforms_leave_luma_as_the_pixels_have_it(made):
    figures = json.loads((made / "figures.json").read_text())
    exact = [row for row in (*figures["geometric"], *figures["boxes"]) if "no twin" not in row["transform"]]
    assert len(exact) > 10 and max(row["luma"] for row in exact) < 0.005  # of chroma's clamp, see the page


def test_pictures_and_names_are_there(made):
    for target in re.findall(r"\]\((pictures/[^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists() and (made / Path(target).name).stat().st_size > 10_000
    for name in re.findall(r"`([A-Z]\w+)`", PAGE):
        assert hasattr(transforms, name) or name in ("Compose",), name
