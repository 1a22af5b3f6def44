"""Any network on RGB pixels, from torchvision, timm or one's own, in front of which the pixels are made of coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dctnet.arguments import several
from dctnet.coefficients import Coefficients
from dctnet.models.rgb import MEAN, STD
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.planes import check_planes, reads_chroma, without_chroma


class PixelNetwork(nn.Module):
    """``model(frontend(coefficients))``: ``model`` as it was, with its own state dict; ``frontend`` has no state.

    With ``planes="y"`` it sees the gray picture, R = G = B = Y.

    The pixels are made in float32, whatever autocast says, and given to ``model`` in the dtype of its first parameter.
    """

    def __init__(self, frontend: PixelFrontend, model: nn.Module, planes: str = "ycc"):
        super().__init__()
        self.reads_chroma = reads_chroma(planes)
        self.block_size = frontend.block_size
        self.frontend = frontend
        self.model = model

    def forward(self, coefficients: Coefficients) -> Tensor:
        if not self.reads_chroma:
            check_planes(coefficients, self.block_size, chroma=False)
            coefficients = without_chroma(coefficients.y, self.block_size)
        pixels = self.frontend(coefficients)
        kinds = (parameter.dtype for parameter in self.model.parameters() if parameter.is_floating_point())
        return self.model(pixels.to(next(kinds, pixels.dtype)))


def from_rgb(
    model: nn.Module,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
    block_size: int | tuple[int, int] = 8,
    *,
    scale: float = 1.0,
    clamp: bool = True,
    chroma_upsampling: str = "fancy",
    reduce: int = 1,
    rounded: bool = True,
    planes: str = "ycc",
) -> PixelNetwork:
    """``model``, which reads normalised RGB pixels ``(n, 3, H, W)``, as a network that reads Coefficients.

    ``model`` sees ``(scale / 255 * v - mean) / std`` for gray levels v: with ``scale=1`` mean and std are measured on 0..1 (by
    default ImageNet's), with ``scale=255`` in gray levels. The other options are those of ``PixelFrontend``. ``rounded`` rounds
    as decoders do, so that ``model`` sees their pixels, but for a few in a thousand. Without it the front end is linear, or
    with ``clamp`` linear within 0..255, and differs from a decoder's pixels by the decoder's rounding: by less than 3 gray
    levels, 0.5 in the mean. ``planes="y"`` shows it the gray picture. ValueError for figures that cannot be a mean and a
    deviation on this scale.

    >>> import torchvision
    >>> network = from_rgb(torchvision.models.resnet18(num_classes=10).eval(), block_size=(8, 4))
    >>> luma, chroma = torch.zeros(1, 64, 8, 8), torch.zeros(1, 16, 8, 8)                # 64 x 64 pixels
    >>> network(Coefficients(luma, chroma, chroma)).shape
    torch.Size([1, 10])
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"from_rgb takes a torch.nn.Module on RGB pixels; got {type(model).__name__}")
    if scale not in (1, 255):
        raise ValueError(f"scale is 1 for mean and std on 0..1, or 255 for gray levels; got {scale!r}")
    mean, std = several("mean", mean, (3,)), several("std", std, (3,))
    if not all(0 <= value <= scale for value in mean) or not all(0 < value <= scale for value in std):
        raise ValueError(
            f"with scale={scale:g} mean lies in 0..{scale:g} and std is above 0 and at most {scale:g}; got mean={mean}, "
            f"std={std}. For figures in gray levels pass scale=255."
        )
    if scale == 255 and max(std) < 1:
        raise ValueError(f"std={std} is below one gray level; for figures measured on 0..1 pass scale=1")
    return PixelNetwork(
        PixelFrontend(block_size, mean, std, "rgb", scale, clamp, torch.float32, chroma_upsampling, reduce, rounded),
        model,
        planes,
    )
