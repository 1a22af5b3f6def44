"""Is the DCT the right transform? Networks on YCbCr pixels whose first layer is a learned, constrained or true block DCT.

    filters    one set of t*t filters of t x t samples for each of Y, Cb and Cr, stride t: a matrix W (t*t, t*t) a plane
    learned_dct        W is learned, as any convolution
    orthonormal_dct    W is learned from an orthogonal start; ``penalty()`` = weight * sum over planes ||W W' - I||^2
    frozen_dct         W is the DCT and is not trained
    frozen_dct_x2      the same at stride t/2: overlapping blocks

All planes are at full resolution, so they read what ``upsampling`` reads without the subsampling of chroma: 192 channels
at 28x28 for 224 px, a BatchNorm, and its stages 3 (stride 1), 4 and 5. ``frozen_dct_x2`` has 55x55x192; its stage 3 has
stride 2, so that all stages work on the same grids as those of the others and only the input is finer.

The networks read Coefficients like all others; PixelFrontend makes the pixels. Source: Gueguen et al., NeurIPS 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, whole
from dctnet.coefficients import Coefficients
from dctnet.dct import basis
from dctnet.models.blocks import initialise
from dctnet.models.stages import residual, stage
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.nn.planes import check_planes, reads_chroma, without_chroma
from dctnet.precision import full_precision

KINDS = ("learned_dct", "orthonormal_dct", "frozen_dct", "frozen_dct_x2")


class TransformResNet(nn.Module):
    """Logits ``(n, num_classes)`` from Coefficients, by way of YCbCr pixels and a block transform of ``size`` samples.

    Reads 4:2:0 planes and planes of full-resolution chroma, of pictures of any size of at least ``size`` pixels a side;
    pixels beyond the last whole block are not seen. ``block_size`` is that of the planes that come in, ``size`` that of the
    network's own transform; ``depth`` and ``width`` as in ``stages``. With ``planes="y"`` it sees the gray picture: one set of
    filters, 64 channels.

    >>> model = TransformResNet("orthonormal_dct", num_classes=10, depth=18, width=0.25)
    >>> round(model.penalty().item(), 6)                                 # it starts orthonormal
    0.0
    """

    def __init__(
        self,
        kind: str,
        num_classes: int = 1000,
        depth: int = 50,
        block_size: int | tuple[int, int] = 8,
        width: float = 1.0,
        size: int = 8,
        penalty_weight: float = 0.1,
        zero_init_residual: bool = False,
        planes: str = "ycc",
    ):
        super().__init__()
        choice("kind", kind, KINDS)
        size = whole("size", size, 1)
        stride = size // 2 if kind == "frozen_dct_x2" else size
        if stride < 1:
            raise ValueError(f"overlapping blocks need a size of at least 2; got {size}")
        self.frontend = PixelFrontend(block_size, mean=(128.0, 128.0, 128.0), color="ycbcr", scale=255.0)
        self.block_size = self.frontend.block_size
        self.penalty_weight = penalty_weight if kind == "orthonormal_dct" else 0.0
        self.reads_chroma = reads_chroma(planes)
        count = 3 if self.reads_chroma else 1
        self.transform = nn.Conv2d(count, count * size**2, size, stride, groups=count, bias=False)
        three = stage(3, depth, stride=2 if kind == "frozen_dct_x2" else 1)
        body, features = residual(count * size**2, three + stage(4, depth) + stage(5, depth), depth, width)
        self.body = nn.Sequential(nn.BatchNorm2d(count * size**2), *body)
        self.fc = nn.Linear(features, num_classes)
        initialise(self, zero_init_residual)
        with torch.no_grad():
            if kind == "orthonormal_dct":
                for plane in self.transform.weight.flatten(1).chunk(count):
                    nn.init.orthogonal_(plane)
            elif kind in ("frozen_dct", "frozen_dct_x2"):
                dct = torch.kron(basis(size), basis(size)).view(size**2, 1, size, size)
                self.transform.weight.copy_(dct.repeat(count, 1, 1, 1))
                self.transform.weight.requires_grad_(False)

    def penalty(self) -> Tensor:
        """``penalty_weight * sum over Y, Cb, Cr of ||W W' - I||^2``, a scalar to add to the loss; 0 for the other kinds."""
        filters = self.transform.weight.flatten(1).unflatten(0, (self.transform.groups, -1))
        if not self.penalty_weight:
            return filters.new_zeros(())
        with full_precision(filters.device):
            gram = filters @ filters.mT
            identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
            return self.penalty_weight * (gram - identity).square().sum()

    def forward(self, coefficients: Coefficients) -> Tensor:
        if not self.reads_chroma:
            check_planes(coefficients, self.block_size, chroma=False)
            coefficients = without_chroma(coefficients.y, self.block_size)
        pixels = self.frontend(coefficients)[:, : self.transform.groups]
        size = self.transform.kernel_size[0]
        if min(pixels.shape[-2:]) < size:
            raise ValueError(
                f"this network needs pictures of at least {size} x {size} pixels; got {tuple(pixels.shape[-2:])}"
            )
        # In bfloat16 a pixel is rounded to the nearest gray level or worse, which drowns the high frequencies.
        with full_precision(pixels.device):
            x = self.transform(pixels.to(self.fc.weight.dtype))
        return self.fc(self.body(x).mean((2, 3)))
