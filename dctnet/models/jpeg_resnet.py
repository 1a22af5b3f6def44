"""ResNets on the planes of a JPEG file: seven ways to bring Y and the half-resolution chroma together.

Source: Gueguen, Sergeev, Kadlec, Liu and Yosinski, "Faster neural networks straight from JPEG", NeurIPS 2018. At 224 px
and block size 8, Y is 28x28x64, Cb and Cr are 14x14x64. Stages 3, 4 and 5 are those of ResNet-50; RFA are the three
blocks CB(k=1), IB(k=2), IB(k=3) 256/1024; BN is a BatchNorm on raw coefficients.

    variant            Y                                        Cb, Cr                     after the concatenation
    upsampling         -                                        nearest x2                 BN, 3 (stride 1), 4, 5
    upsampling_rfa     -                                        nearest x2                 BN, RFA, 3 (stride 1), 4, 5
    deconvolution_rfa  BN                                       BN, own 2x2 deconvolution  BN, RFA, 3 (stride 1), 4, 5
    downsampling       BN, conv 256 k2 s2                       BN                         RFA, 3 and 4 (stride 1), 5
    late_concat        BN, 3 (stride 1), CB s2 256/512          BN, CB(k=1) 256/512        rest of 4, 5
    late_concat_rfa    BN, RFA, 3 (stride 1), CB s2 256/512     BN, CB(k=1) 256/512        rest of 4, 5
      .._thinner       BN, RFA 96/384, CB and IBs 96/384,       BN, CB(k=1) 128/256        rest of 4, 5
                       CB s2 192/768

Details the table leaves open, decided here: Cb and Cr are one stream of concatenated channels, their deconvolutions its
two groups; the convolution of ``downsampling`` and the deconvolution have no bias and no activation.

Block size b, or (b, c) for luma and chroma, changes the grids and the channels b*b that come in. With c = b the luma has
twice the grid of chroma. With c = b/2 they share it: upsampling is the identity, the late concatenations gather 2x2
blocks of chroma into channels first (loses nothing, and the 1x1 convolutions after it hold the re-blocking to 2c),
and ``deconvolution_rfa`` and ``downsampling``, which have nothing left to do, refuse. A network at block size 4 and
width 0.5 has the grids and the channels of the stages 2 to 4 of the pixel ResNet.

``planes="y"`` leaves out the stream of chroma; all other layers are those of the table, and the body has the channels that
luma brings to it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dctnet.bands import Bands, BandSet, bands_of
from dctnet.coefficients import Coefficients, block_sizes
from dctnet.models.blocks import initialise
from dctnet.models.stages import CB, IB, Block, receptive_field_aware, residual, stage
from dctnet.nn.planes import check_planes, reads_chroma


class Layers(NamedTuple):
    """A row of the table: what the streams do (``merge``), their residual blocks, and those after the concatenation."""

    merge: str
    luma: list[Block]
    chroma: list[Block]
    body: list[Block]


def layers(variant: str, depth: int = 50) -> Layers:
    """The row of the table for ``variant``, with the stages of the ResNet of this depth."""
    three, four, five = stage(3, depth, stride=1), stage(4, depth), stage(5, depth)
    rfa = receptive_field_aware(256, 1024)
    late_luma, late_chroma, late_body = [CB(256, 512, stride=2)], [CB(256, 512, kernel=1)], four[1:] + five
    thin_three = [CB(96, 384), *(len(three) - 1) * [IB(96, 384)]]
    thin_luma = [*receptive_field_aware(96, 384), *thin_three, CB(192, 768, stride=2)]
    rows = {
        "upsampling": Layers("upsample", [], [], three + four + five),
        "upsampling_rfa": Layers("upsample", [], [], rfa + three + four + five),
        "deconvolution_rfa": Layers("deconvolve", [], [], rfa + three + four + five),
        "downsampling": Layers("downsample", [], [], rfa + three + stage(4, depth, stride=1) + five),
        "late_concat": Layers("late", three + late_luma, late_chroma, late_body),
        "late_concat_rfa": Layers("late", rfa + three + late_luma, late_chroma, late_body),
        "late_concat_rfa_thinner": Layers("late", thin_luma, [CB(128, 256, kernel=1)], late_body),
    }
    return rows[variant]


class JPEGResNet(nn.Module):
    """Logits ``(n, num_classes)`` from Coefficients: ``fc(mean(body(concat(luma(y), chroma(concat(cb, cr))))))``.

    The planes are batches ``(n, b*b, H/b, W/b)`` of raw dequantised coefficients on 4:2:0 grids, in any dtype. The Y grid
    must be exactly ``ratio`` times the chroma grid (2, or 1 where they share it) and a multiple of ``multiple``, so the
    sides of the picture are multiples of ``multiple * b`` pixels; anything else raises ValueError.

    With ``bands`` (in any form that ``dctnet.bands`` names; blocks of 8) it reads what ``SelectBands(bands)`` makes. Only the
    input channels of the layers that read the planes become fewer; ``deconvolution_rfa`` needs as many bands of Cb as of Cr.
    ``input_norm=False`` leaves out the BatchNorm on the coefficients, for planes that come normalised. With ``planes="y"``
    the logits are ``fc(mean(body(luma(y))))``, whatever the planes of chroma are.
    """

    def __init__(
        self,
        row: Layers,
        num_classes: int = 1000,
        depth: int = 50,
        block_size: int | tuple[int, int] = 8,
        width: float = 1.0,
        zero_init_residual: bool = False,
        bands: BandSet = None,
        planes: str = "ycc",
        input_norm: bool = True,
    ):
        super().__init__()
        self.block_size = block_sizes(block_size)
        self.bands = read_bands(bands, self.block_size)
        self.reads_chroma = reads_chroma(planes)
        self.ratio = grid_ratio(self.block_size) if self.reads_chroma else 1
        halved = row.merge == "late" or (row.merge == "downsample" and not self.reads_chroma)
        self.multiple = 2 if halved else self.ratio

        luma, y = _luma_stem(row.merge, self.block_size[0], self.bands, input_norm)
        luma_blocks, y = residual(y, row.luma, depth, width)
        self.luma, self.chroma, c = nn.Sequential(*luma, *luma_blocks), None, 0
        if self.reads_chroma:
            chroma, c = _chroma_stem(row.merge, self.block_size, self.bands, input_norm)
            chroma_blocks, c = residual(c, row.chroma, depth, width)
            self.chroma = nn.Sequential(*chroma, *chroma_blocks)
        norm = []
        if row.merge == "deconvolve" or (row.merge == "upsample" and input_norm):
            norm = [nn.BatchNorm2d(y + c)]
        body_blocks, features = residual(y + c, row.body, depth, width)
        self.body = nn.Sequential(*norm, *body_blocks)
        self.fc = nn.Linear(features, num_classes)
        initialise(self, zero_init_residual)

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size, self.bands, self.reads_chroma)
        dtype = self.fc.weight.dtype
        grids = [tuple(plane.shape[-2:]) for plane in coefficients]
        check_grids(grids[0], grids[1] if self.reads_chroma else None, self.block_size[0], self.ratio, self.multiple)
        x = self.luma(coefficients.y.to(dtype))
        if self.chroma is not None:
            chroma = torch.cat([coefficients.cb.to(dtype), coefficients.cr.to(dtype)], 1)
            x = torch.cat([x, self.chroma(chroma)], 1)
        return self.fc(self.body(x).mean((2, 3)))


def read_bands(bands: BandSet, sizes: tuple[int, int]) -> Bands | None:
    """The bands that a network of these block sizes reads, None for all; ValueError where they are not blocks of 8."""
    if bands is not None and sizes != (8, 8):
        raise ValueError(f"bands are selected from blocks of 8; got block_size={sizes}")
    return None if bands is None else bands_of(bands)


def grid_ratio(sizes: tuple[int, int]) -> int:
    """How many times the chroma grid the Y grid of a 4:2:0 picture is: 2, or 1 where they share it; ValueError for others."""
    luma, chroma = sizes
    if luma not in (chroma, 2 * chroma):
        raise ValueError(
            "the block size of chroma is that of luma, or half of it (then they share a grid); got "
            f"(luma, chroma) = {sizes}"
        )
    return 2 if luma == chroma else 1


def check_grids(
    luma: tuple[int, int], chroma: tuple[int, int] | None, block_size: int, ratio: int, multiple: int
) -> None:
    """ValueError where the Y grid is not ``ratio`` times the chroma grid (if that is read) and a multiple of ``multiple``."""
    matches = chroma is None or all(y == ratio * c for y, c in zip(luma, chroma, strict=True))
    if not matches or any(blocks % multiple or not blocks for blocks in luma):
        beside = "" if chroma is None else f" {ratio} times the chroma grid,"
        got = "" if chroma is None else f" and chroma {chroma}"
        raise ValueError(
            f"this network reads a Y grid of{beside} each side a multiple of {multiple}; got Y {luma}{got} blocks. Resize "
            f"or crop pictures to sides that are multiples of {multiple * block_size} pixels."
        )


def _luma_stem(merge: str, size: int, bands: Bands | None, input_norm: bool) -> tuple[list[nn.Module], int]:
    """What stands before the residual blocks of luma, and the channels that come out of it."""
    channels = size**2 if bands is None else len(bands.y)
    if merge == "upsample":
        return [], channels
    stem: list[nn.Module] = [nn.BatchNorm2d(channels)] if input_norm else []
    if merge == "downsample":
        return [*stem, nn.Conv2d(channels, 4 * size**2, 2, stride=2, bias=False)], 4 * size**2
    return stem, channels


def _chroma_stem(
    merge: str, sizes: tuple[int, int], bands: Bands | None, input_norm: bool
) -> tuple[list[nn.Module], int]:
    """What stands before the residual blocks of chroma, and the channels that come out of it."""
    whole, shared = 2 * sizes[1] ** 2, sizes[0] != sizes[1]
    channels = whole if bands is None else len(bands.cb) + len(bands.cr)
    if merge == "upsample":
        return [] if shared else [nn.Upsample(scale_factor=2, mode="nearest")], channels
    if shared and merge != "late":
        raise ValueError(
            f"with block sizes {sizes} luma and chroma share a grid, and nothing is left to {merge}; use "
            '"upsampling" or "upsampling_rfa", where the upsampling is then the identity'
        )
    stem: list[nn.Module] = [nn.BatchNorm2d(channels)] if input_norm else []
    if merge == "deconvolve":
        if bands is not None and len(bands.cb) != len(bands.cr):
            raise ValueError(
                f"the deconvolutions of Cb and Cr read as many bands each; got {len(bands.cb)} and {len(bands.cr)}"
            )
        return [*stem, nn.ConvTranspose2d(channels, whole, 2, stride=2, groups=2, bias=False)], whole
    return ([*stem, nn.PixelUnshuffle(2)], 4 * channels) if shared else (stem, channels)


def jpeg_resnet(
    variant: str,
    num_classes: int = 1000,
    depth: int = 50,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    zero_init_residual: bool = False,
    bands: BandSet = None,
    planes: str = "ycc",
) -> JPEGResNet:
    """The network of a row of the table at the top of this file.

    ``depth`` is 18, 34 or 50, and ``width`` multiplies the channels of the residual blocks: the rules of ``stages``. ``bands``
    are those that ``SelectBands`` keeps of its input. ``planes="y"`` reads luma alone.

    >>> model = jpeg_resnet("late_concat", num_classes=10, depth=18, block_size=(4, 2), width=0.25).eval()
    >>> y, chroma = torch.zeros(2, 16, 16, 16), torch.zeros(2, 4, 16, 16)               # 64 x 64 pixels
    >>> model(Coefficients(y, chroma, chroma)).shape
    torch.Size([2, 10])
    """
    return JPEGResNet(layers(variant, depth), num_classes, depth, block_size, width, zero_init_residual, bands, planes)
