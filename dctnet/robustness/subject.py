"""The network that is attacked, and the pictures: RGB pixels of [0, 1] as its evaluation would make them of files.

Of a checkpoint of ``dctnet fit`` they are the samples that its evaluation transform makes of the coefficients, as RGB with
repeated chroma: a ``PixelClassifier`` makes of them the coefficients that the network was validated on, but for clamping to
[0, 1]. Of a network of torchvision, or EfficientNet-Lite0, they are Pillow's pixels, resized and cropped as for its weights; it
may read them as they are, or from their coefficients, through ``from_rgb``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from dctnet.arguments import whole
from dctnet.benchmarks.pretrained import CROP, MEAN, RESIZE, STD, decoded, efficientnet_lite0
from dctnet.data.folder import DataError, JPEGFolder, find_classes, find_images
from dctnet.data.module import evaluation_transform
from dctnet.jpeg.reader import read_jpeg
from dctnet.models.from_rgb import from_rgb
from dctnet.models.rgb import MEAN as IMAGENET_MEAN
from dctnet.models.rgb import STD as IMAGENET_STD
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.robustness.pixel_classifier import PixelClassifier, RGBClassifier
from dctnet.training.predict import load_classifier

IMAGENET_CLASSES = 1000
LITE0 = "efficientnet_lite0"


class Subject(NamedTuple):
    """``network`` maps pixels to logits, in evaluation mode; ``prepare`` a file to pixels (3, H, W).

    ``classes`` names them; ``identity`` determines the network and its pixels; ``about`` says what it is.
    """

    network: nn.Module
    prepare: Callable[[str], Tensor]
    classes: Sequence[str]
    identity: dict[str, Any]
    about: dict[str, Any]


class Pictures(NamedTuple):
    """``pixels`` (n, 3, H, W), ``labels`` (n,) int64, the ``names`` of the files, and a ``digest`` of files and labels."""

    pixels: Tensor
    labels: Tensor
    names: list[str]
    digest: str


def trained_subject(checkpoint: str | Path) -> Subject:
    """The network of a checkpoint of ``dctnet fit``. DataError where it is none, ValueError for one on time series."""
    classifier = load_classifier(checkpoint)
    network = PixelClassifier.of(classifier).eval()
    settings = classifier.hparams
    transform = evaluation_transform(settings.resize_size, settings.image_size, 1)
    to_rgb = PixelFrontend(1, clamp=True, chroma_upsampling="nearest")

    def prepare(path: str) -> Tensor:
        return to_rgb(transform(read_jpeg(path)).map(lambda plane: plane[None]))[0]

    identity = {"checkpoint": hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()[:16]}
    about = {"network": settings.network, "network_options": dict(settings.options or {})}
    about["image_size"] = settings.image_size
    return Subject(network, prepare, list(settings.classes), identity, about)


def pretrained_subject(name: str, coefficients: bool = False) -> Subject:
    """A network with ImageNet weights: "efficientnet_lite0" of its package, or one of torchvision, downloaded where it has to be.

    With ``coefficients`` it reads the DCT of the pixels, 8 x 8 with chroma at half the resolution, through ``from_rgb``: a linear
    front end, so what differs from the network on pixels is the chroma. DataError for another name, and where the weights
    cannot be had.
    """
    import torchvision

    names = torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"]
    if name == LITE0:
        model, mean, std, scale = efficientnet_lite0(), (MEAN,) * 3, (STD,) * 3, 255.0
        resized, cropped, how = RESIZE, CROP, v2.InterpolationMode.BILINEAR
    else:
        if name not in torchvision.models.list_models(torchvision.models):
            raise DataError(f"--pretrained is {LITE0} or a classifier of torchvision, such as resnet50; got {name!r}")
        weights = torchvision.models.get_model_weights(name).DEFAULT
        try:
            model = torchvision.models.get_model(name, weights=weights).eval()
        except OSError as error:  # no network, no room
            raise DataError(f"the weights of {name} cannot be had from {weights.url}: {error}") from error
        preset = weights.transforms()
        mean, std, scale = preset.mean or IMAGENET_MEAN, preset.std or IMAGENET_STD, 1.0
        (resized,), (cropped,), how = preset.resize_size, preset.crop_size, preset.interpolation
    transform = v2.Compose([v2.Resize(resized, how, antialias=True), v2.CenterCrop(cropped)])

    def prepare(path: str) -> Tensor:
        return transform(decoded(path)).to(torch.float32) / 255

    network: nn.Module = RGBClassifier(model, mean, std, scale=scale)
    identity = {"pretrained": name, "weights": weights_digest(network), "resize": resized, "crop": cropped}
    about = {"network": name, "network_options": {}, "image_size": cropped}
    if coefficients:
        network = PixelClassifier(from_rgb(model, mean, std, scale=scale, clamp=False, rounded=False).eval())
        identity["reads"] = about["network_options"]["reads"] = "coefficients"
    return Subject(network.eval(), prepare, names, identity, about)


def weights_digest(network: nn.Module) -> str:
    """16 digits of the SHA-256 of all that a network's state dict holds."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + str(tensor.dtype).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def labelled_files(subject: Subject, data: str | Path) -> list[tuple[str, int]]:
    """Paths and labels of the files in ``data``: folders by class, in ``data/val`` where there is one.

    For ImageNet weights also files whose names begin with the number of their class, as in ``0003_shark.jpg``; folders are then
    all 1,000, in the order of their names. DataError where they are neither.
    """
    root = Path(data)
    if (root / "val").is_dir():
        root = root / "val"
    if "pretrained" not in subject.identity:
        return JPEGFolder(root, classes=subject.classes).samples
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; name a folder of JPEG files of ImageNet")
    paths = find_images(root)
    numbers = [re.match(r"(\d+)_", Path(path).name) for path in paths]
    if paths and all(number and int(number[1]) < IMAGENET_CLASSES for number in numbers):
        return [(path, int(number[1])) for path, number in zip(paths, numbers, strict=True)]
    if paths and any(entry.is_dir() for entry in root.iterdir()) and len(find_classes(root)) == IMAGENET_CLASSES:
        return JPEGFolder(root).samples
    raise DataError(
        f"the classes of the files in {root} are not known: names begin with the number of the class and an underscore "
        f"(0003_shark.jpg), or there are {IMAGENET_CLASSES:,} sub-folders, one a class of ImageNet, in the order of their names"
    )


def evenly(labels: Sequence[int], limit: int) -> list[int]:
    """The places of ``limit`` of the ``labels``, as many of each class as of any other, as far as there are; in order.

    Where they do not come out even, the classes that give one more lie evenly among those that can.

    >>> evenly([0, 0, 0, 1, 1, 2, 2, 2], 4), evenly([0, 1, 2, 3], 2)
    ([0, 1, 3, 5], [0, 2])
    """
    whole("limit", limit, 1)
    places: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    chosen: list[int] = []
    turn = 0
    while len(chosen) < min(limit, len(labels)):
        able = [places[label] for label in sorted(places) if len(places[label]) > turn]
        missing = min(limit - len(chosen), len(able))
        chosen += [able[number * len(able) // missing][turn] for number in range(missing)]
        turn += 1
    return sorted(chosen)


def load_pictures(subject: Subject, data: str | Path, limit: int) -> Pictures:
    """``limit`` pictures of ``data``, chosen ``evenly`` over the classes. DataError for files that are not as they should be."""
    files = labelled_files(subject, data)
    files = [files[place] for place in evenly([label for _, label in files], limit)]
    digest = hashlib.sha256()
    for path, label in files:
        digest.update(f"{label} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}\n".encode())
    pixels = torch.stack([subject.prepare(path) for path, _ in files])
    labels = torch.tensor([label for _, label in files])
    return Pictures(pixels, labels, [Path(path).name for path, _ in files], digest.hexdigest()[:16])
