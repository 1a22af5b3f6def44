"""The names that users rely on are where the documentation says."""

import subprocess
import sys

import pytest

import dctnet

NAMES = {
    "dctnet": ["Coefficients", "JPEGError", "JPEGImage", "create_model", "list_models", "read_jpeg", "read_jpegs", "to_pixels",
               "write_jpeg", "write_jpegs"],
    "dctnet.dct": ["apply", "basis", "block_dct", "block_idct", "lift", "zigzag"],
    "dctnet.jpeg": ["JPEGError", "JPEGImage", "quantize", "read_jpeg", "read_jpegs", "to_pixels", "write_jpeg", "write_jpegs"],
    "dctnet.transforms": ["CenterCrop", "Compose", "Normalize", "RandomHorizontalFlip", "RandomResizedCrop", "Reblock", "Resize",
                           "SelectBands", "ColorJitter", "RandomGrayscale", "RandomInvert", "RandomAutocontrast",
                           "RandomEqualize", "RandomPosterize", "RandomSolarize", "RandomAdjustSharpness",
                           "GaussianBlur", "GaussianNoise"],
    "dctnet.transforms.functional": ["center_crop", "crop", "horizontal_flip", "normalize", "reblock", "resize", "resized_crop",
                                      "select_bands"],
    "dctnet.nn": ["PixelFrontend"],
    "dctnet.data": ["DCTDataModule", "JPEGFolder"],
    "dctnet.models": ["create_model", "list_models"],
    "dctnet.training": ["Classifier"],
}  # fmt: skip


@pytest.mark.parametrize("module", NAMES)
def test_names_are_there_and_documented(module):
    room = __import__(module, fromlist=["x"])
    for name in NAMES[module]:
        assert getattr(room, name).__doc__, f"{module}.{name} has no docstring"


def test_unknown_names_say_what_there_is():
    with pytest.raises(AttributeError, match="read_jpeg"):
        _ = dctnet.read_jpg
    assert {"read_jpeg", "transforms", "create_model"} <= set(dir(dctnet))


def test_import_dctnet_loads_neither_torchvision_nor_lightning():
    heavy = ("torchvision", "lightning", "matplotlib")
    code = f"import sys, dctnet; dctnet.read_jpeg; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
