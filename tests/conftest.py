"""Fixtures shared by the tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files (``DCTNET_DATA``, or ``shared/data`` beside the checkout); tests that need it skip without."""
    folder = Path(os.environ.get("DCTNET_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no folder of real JPEG files at {folder}; set DCTNET_DATA to one")
    return folder
