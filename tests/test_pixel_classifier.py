"""Networks on coefficients as functions of pixels: against libjpeg's files, the validation transform, and numerical gradients."""

import io

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from dctnet.coefficients import Coefficients
from dctnet.data.module import ending, evaluation_transform
from dctnet.jpeg.reader import read_jpeg
from dctnet.models.from_rgb import from_rgb
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.robustness.pixel_classifier import (
    GrayLevels,
    PixelClassifier,
    RGBClassifier,
    coefficients_of,
    load_pixel_classifier,
)
from dctnet.training.classifier import Classifier
from tests.networks import small
from tests.photographs import planes_of


def levels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture of smooth and of fine structure within 20..235, uint8 (H, W, 3)."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(60, 195, (1 + height // 8, 1 + width // 8, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC), dtype=np.float64)
    return (smooth + generator.normal(0, 8, smooth.shape)).clip(20, 235).astype(np.uint8)


def jpeg(picture: np.ndarray, subsampling: int, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def as_pixels(picture: np.ndarray, dtype=torch.float64) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).movedim(-1, 0)[None].to(dtype) / 255


@pytest.mark.parametrize("block_size, subsampling, size", [
    (8, "4:4:4", (32, 48)), (8, "4:2:0", (32, 48)), (1, "4:2:0", (32, 48)), (1, "4:4:4", (7, 9)), ((16, 8), "4:2:0", (32, 32)),
    ((8, 4), "4:2:0", (40, 24)), (8, "4:2:0", (37, 51)), (4, "4:2:0", (31, 30)), (2, "4:4:4", (5, 6)),
])  # fmt: skip
def test_coefficients_are_those_of_an_explicit_matrix(block_size, subsampling, size):
    pixels = as_pixels(levels(*size))
    ours = coefficients_of(pixels, block_size, subsampling)
    if subsampling == "4:2:0":  # an odd last row or column counts twice
        pixels = torch.nn.functional.pad(pixels, (0, size[1] % 2, 0, size[0] % 2), "replicate")
    theirs = planes_of(255 * pixels, block_size, 2 if subsampling == "4:2:0" else 1)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other[..., : mine.shape[-2], : mine.shape[-1]], rtol=0, atol=1e-6)


def test_of_a_file_without_subsampling_they_differ_by_its_rounding():
    picture = levels(64, 64)
    file = read_jpeg(jpeg(picture, 0, 100)).coefficients  # quality 100: each coefficient rounded to an integer
    for ours, stored in zip(coefficients_of(as_pixels(picture), 8, "4:4:4"), file, strict=True):
        difference = (ours[0] - stored).abs()
        # Half a step, and libjpeg's rounding of Y, Cb and Cr to integers before its DCT.
        assert difference.max() < 0.5 + 2 and difference.square().mean().sqrt() < (1 / 12 + 1 / 12) ** 0.5 * 1.05


def test_of_a_subsampled_file_too():
    picture = levels(64, 64)
    file = read_jpeg(jpeg(picture, 2, 100)).coefficients
    # Mean squares of the roundings: of coefficients and of Y 1/12 each; of chroma a quarter of it, since four are averaged, and
    # that of libjpeg's means, floor((sum + 1 or 2) / 4).
    of_means = np.mean([(s / 4 - (s + bias) // 4) ** 2 for s in range(4) for bias in (1, 2)])
    expected = [1 / 12 + 1 / 12, *[1 / 12 + 1 / 48 + of_means] * 2]
    for ours, stored, squares in zip(coefficients_of(as_pixels(picture), 8), file, expected, strict=True):
        assert (ours[0] - stored).square().mean() == pytest.approx(squares, rel=0.15)


@pytest.mark.parametrize(
    "name, subsampling, of", [("rgb_resnet18", 0, "4:4:4"), ("late_concat_rfa_thinner", 2, "4:2:0")]
)
def test_logits_of_decoded_pixels_are_near_those_of_the_file(name, subsampling, of):
    network = small(name).eval()
    classifier = PixelClassifier(network, subsampling=of)
    for seed in range(4):
        data = jpeg(levels(64, 64, seed), subsampling, 90)
        with torch.no_grad():
            of_file = network(read_jpeg(data).coefficients.map(lambda plane: plane[None].float()))
            decoded = np.asarray(Image.open(io.BytesIO(data)))
            ours = classifier(as_pixels(decoded, torch.float32))
        assert ours.argmax() == of_file.argmax()
        assert (ours - of_file).norm() < (0.02 if subsampling == 0 else 0.1) * of_file.norm()


def hparams(**options):
    torch.manual_seed(0)
    return Classifier(
        "late_concat_rfa_thinner",
        [str(k) for k in range(10)],
        options={"depth": 18, "width": 0.125},
        image_size=64,
        resize_size=64,
        **options,
    ).eval()


BANDS = [list(range(40)), [0, 1, 8], [0, 1, 8]]
CASES = {
    "all bands": {},
    "normalised": {"mean": [[3.0] * 64] * 3, "std": [[20.0] * 64] * 3},
    "chosen bands": {
        "bands": BANDS,
        "mean": [[float(k) for k in plane] for plane in BANDS],
        "std": [[2.0 + k for k in plane] for plane in BANDS],
    },
    "blocks of two sizes": {"block_size": (8, 4)},
}


@pytest.mark.parametrize("case", CASES)
def test_a_trained_network_sees_what_validation_shows_it(case, tmp_path):
    """Planes of the validation transform, as pixels by repetition of chroma, come back to the same logits."""
    classifier = hparams(**CASES[case])
    torch.save(
        {"hyper_parameters": dict(classifier.hparams), "state_dict": classifier.state_dict()}, tmp_path / "a.ckpt"
    )
    settings = classifier.hparams
    image = read_jpeg(jpeg(levels(80, 72), 2, 85))
    plain = evaluation_transform(64, 64, settings.block_size)(image).map(lambda plane: plane[None])
    last = ending(*(settings.get(name) for name in ("bands", "mean", "std")))
    whole = evaluation_transform(64, 64, settings.block_size, last)(image).map(lambda plane: plane[None])
    pixels = PixelFrontend(settings.block_size, chroma_upsampling="nearest")(plain)
    with torch.no_grad():
        expected = classifier(whole)
        for ours in (PixelClassifier.of(classifier), load_pixel_classifier(tmp_path / "a.ckpt")):
            assert not ours.training
            torch.testing.assert_close(ours(pixels), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
            torch.testing.assert_close(ours.classifier(plain), expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_passes_through_the_forward_transform():
    """Against differences in float64, over a network of one smooth layer on coefficients, chroma and channel included."""

    class Smooth(torch.nn.Module):
        def forward(self, planes):
            return torch.stack([sum((0.01 * (k + 1) * p).sin().mean((1, 2, 3)) for p in planes) for k in range(3)], 1)

    class Squares(torch.nn.Module):
        def forward(self, pixels):
            return pixels**2

    classifier = PixelClassifier(Smooth().eval(), 4, mean=[[1.0] * 16] * 3, std=[[2.0] * 16] * 3, channel=Squares())
    pixels = as_pixels(levels(8, 8)).requires_grad_()
    assert torch.autograd.gradcheck(classifier, (pixels,))


def test_a_network_on_rgb_pixels_is_the_same_with_and_without_coefficients():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10).eval()
    pixels = as_pixels(levels(64, 64), torch.float32)
    over_coefficients = PixelClassifier(from_rgb(model, rounded=False, clamp=False), subsampling="4:4:4")
    with torch.no_grad():
        direct = model(
            torchvision.transforms.functional.normalize(pixels, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        torch.testing.assert_close(RGBClassifier(model)(pixels), direct, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(over_coefficients(pixels), direct, rtol=1e-3, atol=1e-3)
        gray = RGBClassifier(model, (127.0,) * 3, (128.0,) * 3, scale=255)(pixels)
        torch.testing.assert_close(gray, model((255 * pixels - 127) / 128), rtol=1e-5, atol=1e-5)


def test_a_channel_comes_first():
    class Dark(torch.nn.Module):
        def forward(self, pixels):
            return pixels / 2

    pixels = as_pixels(levels(32, 32), torch.float32)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4)).eval()
    with torch.no_grad():
        ours = RGBClassifier(network, channel=Dark())(pixels)
        torch.testing.assert_close(ours, RGBClassifier(network)(pixels / 2))


@pytest.mark.parametrize("make, says", [
    (lambda: coefficients_of(torch.zeros(3, 8, 8)), "floating-point"),
    (lambda: coefficients_of(torch.zeros(1, 3, 8, 8, dtype=torch.uint8)), "uint8"),
    (lambda: coefficients_of(torch.zeros(1, 3, 8, 8), 3), "block size"),
    (lambda: coefficients_of(torch.zeros(1, 3, 8, 8), 8, "4:1:1"), "4:4:4"),
    (lambda: GrayLevels(torch.nn.Identity(), mean=[[0.0]] * 3), "come together"),
    (lambda: PixelClassifier(torch.nn.Identity(), bands=7), "static sets"),
    (lambda: RGBClassifier(torch.nn.Identity(), scale=2), "gray levels"),
    (lambda: RGBClassifier(torch.nn.Identity(), mean=(127.0,) * 3), "mean"),
    (lambda: PixelClassifier.of(Classifier("fcn", ["a", "b"], channels=1)), "time series"),
])  # fmt: skip
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_of_photographs_they_differ_by_the_rounding_of_pixels(real_data):
    """Y of Pillow's pixels beside Y in the file: rounding to levels, after the inverse DCT and after the colours."""
    images = ((path, read_jpeg(path)) for path in sorted((real_data / "imagenet_samples").glob("*.jpg")))
    few = [(path, image) for path, image in images if image.subsampling == "4:4:4"][:3]
    assert few
    for path, image in few:
        decoded = np.asarray(Image.open(path).convert("RGB"))
        difference = (coefficients_of(as_pixels(decoded), 8, "4:4:4").y[0] - image.coefficients.y).abs()
        assert difference.median() < 0.5, path  # the median, since what a decoder clips may be far


def test_planes_are_coefficients():
    assert isinstance(coefficients_of(torch.zeros(1, 3, 8, 8)), Coefficients)
