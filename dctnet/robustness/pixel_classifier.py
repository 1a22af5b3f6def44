"""Networks on coefficients as functions of RGB pixels, which is what attacks and lossy channels act on.

    pixels in [0, 1] -> (channel) -> Y, Cb, Cr of 0..255 less 128 -> chroma at half the resolution
                     -> block DCT -> bands, Normalize -> network

Nothing is rounded or clamped: in front of the network stands an affine map. Chroma is the mean of 2x2 pixels, as
libjpeg makes it; a decoder's triangles (``chroma_upsampling="fancy"`` of ``PixelFrontend``) are not undone by it: of a 4:2:0 file
that was decoded this way chroma comes back smoother, and of one that was decoded by repetition ("nearest") exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dctnet.arguments import choice, several
from dctnet.bands import BandSet
from dctnet.coefficients import Coefficients, block_sizes
from dctnet.data.module import Numbers, ending
from dctnet.dct import block_dct
from dctnet.jpeg.encoder_samples import whole_blocks
from dctnet.jpeg.pixels import YCC_FROM_RGB
from dctnet.models.rgb import MEAN, STD
from dctnet.precision import full_precision
from dctnet.training.classifier import Classifier
from dctnet.training.predict import load_classifier

SUBSAMPLING = {"4:4:4": 1, "4:2:0": 2}


def coefficients_of(pixels: Tensor, block_size: int | tuple[int, int] = 8, subsampling: str = "4:2:0") -> Coefficients:
    """Coefficients in gray levels of RGB pixels ``(n, 3, H, W)`` in [0, 1], in the dtype of ``pixels``.

    ``block_size`` is one number, or (luma, chroma); 1 leaves samples. What does not fill a block, or a pair of pixels under
    4:2:0, repeats the edge. ValueError for other shapes.

    >>> white = torch.ones(1, 3, 16, 16)
    >>> planes = coefficients_of(white)
    >>> planes.y[0, 0].round().tolist(), planes.cb.shape                               # 8 times 127
    ([[1016.0, 1016.0], [1016.0, 1016.0]], torch.Size([1, 64, 1, 1]))
    """
    if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
        raise ValueError(
            f"a batch of RGB pixels is floating-point (n, 3, H, W) in [0, 1]; got {pixels.dtype} {tuple(pixels.shape)}"
        )
    luma, chroma = block_sizes(block_size)
    spacing = SUBSAMPLING[choice("subsampling", subsampling, SUBSAMPLING)]
    with full_precision(pixels.device):
        planes = 255 * torch.einsum("pc,nchw->nphw", YCC_FROM_RGB.to(pixels), pixels)
        colors = F.avg_pool2d(whole_blocks(planes[:, 1:], spacing), spacing)
        y = block_dct(whole_blocks(planes[:, 0] - 128, luma), luma)
        cb, cr = (block_dct(whole_blocks(colors[:, number], chroma), chroma) for number in range(2))
    return Coefficients(y, cb, cr)


class GrayLevels(nn.Module):
    """``network`` as a function of all bands in gray levels: the ``bands`` that it reads, less ``mean`` and over ``std``.

    The three are those of ``dctnet fit``: None for all bands, and for no normalisation.
    """

    def __init__(
        self, network: nn.Module, bands: BandSet = None, mean: Numbers | None = None, std: Numbers | None = None
    ):
        super().__init__()
        if (mean is None) != (std is None):
            raise ValueError(f"mean and std come together; got mean={mean!r}, std={std!r}")
        self.network, self.training = network, network.training
        self.ending = ending(bands, mean, std)

    def forward(self, coefficients: Coefficients) -> Tensor:
        for transform in self.ending:
            coefficients = transform.apply(coefficients, None, None)
        return self.network(coefficients)


class PixelClassifier(nn.Module):
    """Logits of RGB pixels ``(n, 3, H, W)`` in [0, 1] by a ``network`` on Coefficients; the way is at the top of the file.

    ``block_size``, ``bands``, ``mean`` and ``std`` are those that the network was trained with. ``subsampling`` is "4:2:0" or
    "4:4:4"; every geometric transform writes 4:2:0, so what ``dctnet fit`` trains reads that. ``channel`` is a module from pixels
    to pixels, such as a lossy channel.

    >>> from dctnet.models.zoo import create_model
    >>> network = create_model("late_concat_rfa_thinner", num_classes=10, depth=18, width=0.125).eval()
    >>> PixelClassifier(network)(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        network: nn.Module,
        block_size: int | tuple[int, int] = 8,
        *,
        bands: BandSet = None,
        mean: Numbers | None = None,
        std: Numbers | None = None,
        subsampling: str = "4:2:0",
        channel: nn.Module | None = None,
    ):
        super().__init__()
        self.channel = channel
        self.classifier = GrayLevels(network, bands, mean, std)
        self.training = network.training
        self.block_size = block_sizes(block_size)
        self.subsampling = choice("subsampling", subsampling, SUBSAMPLING)

    @classmethod
    def of(cls, classifier: Classifier, channel: nn.Module | None = None) -> PixelClassifier:
        """The network of a trained classifier with the settings that it was trained with. ValueError for one on time series."""
        settings = classifier.hparams
        if settings.channels is not None:
            raise ValueError("this network reads time series, which have no pixels; attack it as it is")
        return cls(
            classifier.network,
            settings.block_size,
            bands=settings.bands,
            mean=settings.mean,
            std=settings.std,
            channel=channel,
        )

    def forward(self, pixels: Tensor) -> Tensor:
        if self.channel is not None:
            pixels = self.channel(pixels)
        return self.classifier(coefficients_of(pixels, self.block_size, self.subsampling))

    def extra_repr(self) -> str:
        return f"block_size={self.block_size}, subsampling={self.subsampling!r}"


def load_pixel_classifier(checkpoint: str | Path, channel: nn.Module | None = None) -> PixelClassifier:
    """The network of a checkpoint of ``dctnet fit`` in evaluation mode; DataError where the file is no such checkpoint."""
    return PixelClassifier.of(load_classifier(checkpoint), channel)


class RGBClassifier(nn.Module):
    """Logits of RGB pixels in [0, 1] by a ``model`` that reads ``(scale * pixels - mean) / std``, such as torchvision's.

    This is what ``from_rgb`` makes of ``model`` without the way over coefficients; ``mean``, ``std`` and ``scale`` are the same.

    >>> import torchvision
    >>> RGBClassifier(torchvision.models.resnet18(num_classes=10).eval())(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        model: nn.Module,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        *,
        scale: float = 1.0,
        channel: nn.Module | None = None,
    ):
        super().__init__()
        if scale not in (1, 255):
            raise ValueError(f"scale is 1 for mean and std on 0..1, or 255 for gray levels; got {scale!r}")
        mean, std = several("mean", mean, (3,), 0, scale), several("std", std, (3,), 0, scale, open_low=True)
        self.channel, self.model, self.training = channel, model, model.training
        self.scale = scale
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        if self.channel is not None:
            pixels = self.channel(pixels)
        return self.model((self.scale * pixels - self.mean) / self.std)
