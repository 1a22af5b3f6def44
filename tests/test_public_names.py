"""The names that users rely on are where the documentation says."""

import subprocess
import sys
from pathlib import Path

import pytest

import dctnet

NAMES = {
    "dctnet": ["Coefficients", "JPEGError", "JPEGImage", "create_model", "fold_stem", "from_rgb", "list_models", "read_jpeg",
               "read_jpegs", "summary", "to_pixels", "write_jpeg", "write_jpegs"],
    "dctnet.dct": ["apply", "basis", "block_dct", "block_idct", "lift", "zigzag"],
    "dctnet.jpeg": ["JPEGError", "JPEGImage", "quantize", "read_jpeg", "read_jpegs", "to_pixels", "write_jpeg", "write_jpegs"],
    "dctnet.transforms": [
        "Affine", "CenterCrop", "ColorJitter", "Compose", "CutMix", "Cutout", "FrequencyEnhancement", "GaussianBlur",
        "GaussianNoise", "JPEGQuality", "KeepEnergy", "LaplaceNoise", "MidFrequencyAugmentation", "MixUp", "Normalize", "Pad",
        "Quantize", "RandAugment", "RandomAdjustSharpness", "RandomAffine", "RandomApply", "RandomAutocontrast",
        "RandomChoice", "RandomChromaDrop", "RandomCrop", "RandomEqualize", "RandomErasing", "RandomGrayscale",
        "RandomHorizontalFlip", "RandomInvert", "RandomJPEGQuality", "RandomPosterize", "RandomResizedCrop", "RandomRotation",
        "RandomSolarize", "RandomVerticalFlip", "Reblock", "Resize", "Rotate", "SelectBands", "SpectralSharpness",
        "ThreeAugment", "Translate", "TrivialAugmentWide", "UniformNoise"
    ],
    "dctnet.transforms.functional": [
        "adjust_brightness", "adjust_contrast", "adjust_hue", "adjust_saturation", "adjust_sharpness", "affine",
        "autocontrast", "box_mask", "center_crop", "chroma_to_420", "crop", "cutmix", "drop_chroma", "equalize", "erase",
        "frequency_enhancement", "gaussian_blur", "gaussian_noise", "horizontal_flip", "invert", "jpeg_quality",
        "keep_energy", "laplace_noise", "mid_frequency_augmentation", "mixup", "normalize", "pad", "posterize",
        "quantize_int8", "reblock", "resize", "resized_crop", "rgb_to_grayscale", "rotate", "select_bands", "solarize",
        "spectral_sharpness", "uniform_noise", "vertical_flip"
    ],
    "dctnet.nn": ["BandLimitedConv1d", "BandLimitedConv2d", "DCTCompress", "DCTPool2d", "FoldedStem", "FrequencyGate",
                  "HarmonicConv2d", "MultigridBlock", "MultigridConv", "OctaveConv2d", "PixelFrontend", "PlaneExchange",
                  "PlaneResample", "SpectralConv2d", "SpectralPool2d", "WinogradConv1d", "WinogradConv2d", "auto_choices",
                  "compressed_activations", "convert", "convolution", "cook_toom", "fft_convolution", "forget_auto_choices",
                  "im2col_convolution", "set_compression", "spectrum_mask", "winograd_convolution", "winograd_error"],
    "dctnet.data": ["DCTDataModule", "JPEGFolder", "SeriesDataModule", "read_ucr"],
    "dctnet.models": ["create_model", "fold_stem", "from_rgb", "initialise_from", "list_models", "multiply_adds", "options_of",
                      "parameters", "summary"],
    "dctnet.robustness": ["ATTACKS", "CHANNELS", "Channel", "Distortion", "PixelClassifier", "RGBClassifier", "Vote", "attack",
                          "attack_coefficients", "bpda", "check_defence", "compare", "create_channel", "distortion",
                          "expectation", "hessian_vector_product", "input_gradients", "majority_vote", "top_eigenvalues"],
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


HEAVY = (
    "torchvision",
    "lightning",
    "matplotlib",
    "scipy",
    "sklearn",
    "foolbox",
    "onnx",
    "webdataset",
    "PIL",
    "yaml",
    "rich",
)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import dctnet", (*HEAVY, "torch", "numpy")),
        ("import dctnet.cli; dctnet.cli.main(['--help'])", (*HEAVY, "torch", "numpy")),
        ("import dctnet; dctnet.read_jpeg", ("torchvision", "lightning", "matplotlib", "scipy", "foolbox", "onnx")),
        ("from dctnet import nn, transforms, data", ("torchvision", "lightning", "matplotlib", "foolbox", "onnx")),
    ],
)
def test_what_an_import_leaves_out(code, heavy):
    code = f"{code}; import sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("more", ["", "; dctnet.read_jpeg, dctnet.write_jpeg, dctnet.to_pixels, dctnet.transforms"])
def test_importing_dctnet_takes_at_most_300_ms_beyond_torch(more):
    code = f"import time, torch; begun = time.process_time(); import dctnet{more}; print(time.process_time() - begun)"
    runs = (subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3))
    assert min(float(done.stdout) for done in runs) <= 0.3


def test_the_version_stands_in_one_place_and_in_the_citation():
    root = Path(__file__).resolve().parents[1]
    assert f"\nversion: {dctnet.__version__}\n" in (root / "CITATION.cff").read_text()
    assert "\nversion =" not in (root / "pyproject.toml").read_text()
