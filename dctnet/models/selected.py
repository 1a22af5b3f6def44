"""Networks on selected frequencies: ResNet-50 and MobileNetV2 whose stem gives way to the bands of a JPEG file.

    x = BatchNorm without weights of concat(Y, up(Cb), up(Cr))            one channel a selected band, on the grid of Y
    selected_resnet50       stages 2 to 5 of torchvision's ResNet-50 (stride on the 3x3): no 7x7 stem, no max-pool
    selected_mobilenet_v2   torchvision's MobileNetV2 without its first convolution; the first block, a depthwise 3x3 and a
                            1x1 convolution to 16 channels, reads the bands

Source: Xu, Qin, Sun, Wang, Chen and Ren, "Learning in the frequency domain", CVPR 2020, and its released evaluation code. There
ResNet-50 reads 56x56 blocks, of pictures of 448 px, and MobileNetV2 112x112, of 896 px, so that each body works on the grids
of its pixel network at 224 px. Networks of convolutions take any other size: at block size 2, 112 px give 56x56.

Decided here: the strides are torchvision's (the released file has stride 1 in stage 3 of its ResNet); chroma is brought to
the grid of Y by repeating each block (there the pixels are enlarged before the transform); and the statistics
of the bands are learned (there they are constants measured on ImageNet).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from dctnet.arguments import finite
from dctnet.bands import CHANNELS, Bands, BandSet
from dctnet.coefficients import Coefficients, block_sizes
from dctnet.models.blocks import initialise
from dctnet.models.gated import Gated, kept_slices
from dctnet.models.jpeg_resnet import check_grids, grid_ratio, read_bands
from dctnet.models.rgb import torchvision_resnet
from dctnet.nn.planes import check_planes, reads_chroma


class SelectedNet(nn.Module):
    """Logits ``(n, num_classes)`` from the bands of Coefficients: ``body(norm(concat(y, up(cb), up(cr))))``.

    ``make(channels)`` gives the body. The grids are those of 4:2:0 planes, any sides; ``bands`` (blocks of 8) are those that
    ``SelectBands`` makes, None for all. ``planes="y"`` reads luma alone; ``input_norm=False`` is for planes that come normalised.
    """

    def __init__(
        self,
        make: Callable[[int], nn.Module],
        block_size: int | tuple[int, int] = 8,
        bands: BandSet = None,
        planes: str = "ycc",
        input_norm: bool = True,
    ):
        super().__init__()
        self.block_size = block_sizes(block_size)
        self.bands = read_bands(bands, self.block_size)
        self.reads_chroma = reads_chroma(planes)
        self.ratio = grid_ratio(self.block_size) if self.reads_chroma else 1
        luma, chroma = self.block_size
        counts = [luma**2, chroma**2, chroma**2] if self.bands is None else [len(plane) for plane in self.bands]
        channels = sum(counts) if self.reads_chroma else counts[0]
        self.norm = nn.BatchNorm2d(channels, affine=False) if input_norm else nn.Identity()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest") if self.ratio == 2 else nn.Identity()
        self.body = make(channels)

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size, self.bands, self.reads_chroma)
        grids = [tuple(plane.shape[-2:]) for plane in coefficients]
        check_grids(grids[0], grids[1] if self.reads_chroma else None, self.block_size[0], self.ratio, self.ratio)
        y, cb, cr = coefficients
        dtype = next(self.body.parameters()).dtype
        x = y.to(dtype)
        if self.reads_chroma:
            x = torch.cat([x, self.upsample(torch.cat([cb.to(dtype), cr.to(dtype)], 1))], 1)
        return self.body(self.norm(x))


class GatedSelected(Gated):
    """A network of ``selected_resnet50`` or ``selected_mobilenet_v2`` on all bands of blocks of 8, behind a FrequencyGate."""

    def __init__(
        self, make: Callable[[int], nn.Module], block_size: int | tuple[int, int], weight: float, temperature: float
    ):
        super().__init__(SelectedNet(make, block_size, input_norm=False), weight, temperature)
        self.make = make

    def sliced(self, bands: Bands) -> SelectedNet:
        """The network on ``SelectBands(bands)`` that computes what this one does with only these gates open.

        In MobileNetV2 a closed band is not lost on the way: past the first norm and ReLU6 it is a constant, which the 1x1
        convolution adds to its outputs. The mean of the norm after it takes that away.
        """
        network = SelectedNet(self.make, self.block_size, bands)
        state = self.network.body.state_dict()
        kept = [*bands.y, *(CHANNELS + k for k in bands.cb), *(2 * CHANNELS + k for k in bands.cr)]
        if "features.0.conv.1.weight" in state:
            first = self.network.body.features[0].conv
            norm, mixing = first[0][1], first[1].weight[:, :, 0, 0]
            constant = norm.bias - norm.running_mean * norm.weight * (norm.running_var + norm.eps).rsqrt()
            closed = torch.ones_like(constant).index_fill(0, torch.tensor(kept, device=constant.device), 0)
            moved = mixing @ (closed * constant.clamp(0, 6))
            name = "features.0.conv.2.running_mean"
            state[name] = state[name] - moved.detach()
        network.body.load_state_dict(kept_slices(state, network.body.state_dict(), lambda name, inputs: kept))
        for name in ("running_mean", "running_var"):
            values = torch.cat(
                [getattr(norm, name)[list(plane)] for norm, plane in zip(self.norms, bands, strict=True)]
            )
            getattr(network.norm, name).copy_(values)
        network.norm.num_batches_tracked.copy_(self.norms[0].num_batches_tracked)
        weight = next(self.network.body.parameters())
        return network.to(weight.device, weight.dtype).train(self.training)


def resnet50_body(channels: int, num_classes: int, width: float, zero_init_residual: bool) -> nn.Module:
    """torchvision's ResNet-50 whose first block reads ``channels``, on the grid that its max-pool would give."""
    resnet = torchvision_resnet(50, num_classes, width, zero_init_residual)
    resnet.conv1 = resnet.bn1 = resnet.relu = resnet.maxpool = nn.Identity()
    first = resnet.layer1[0]
    first.conv1 = nn.Conv2d(channels, first.conv1.out_channels, 1, bias=False)
    first.downsample[0] = nn.Conv2d(channels, first.downsample[0].out_channels, 1, bias=False)
    initialise(first.conv1)
    initialise(first.downsample[0])
    return resnet


def mobilenet_v2_body(channels: int, num_classes: int, width: float, dropout: float) -> nn.Module:
    """torchvision's MobileNetV2 whose first inverted residual reads ``channels``, on the grid its first convolution gives."""
    from torchvision.models.mobilenetv2 import InvertedResidual, MobileNetV2

    width = finite("width", width, 0, open_low=True)
    mobilenet = MobileNetV2(num_classes, width_mult=width, dropout=finite("dropout", dropout, 0, 1))
    first = InvertedResidual(channels, mobilenet.features[1].out_channels, stride=1, expand_ratio=1)
    first.use_res_connect = False  # it would add the bands themselves where their number happens to fit
    initialise(first)
    mobilenet.features = nn.Sequential(first, *mobilenet.features[2:])
    return mobilenet


def selected_resnet50(
    num_classes: int = 1000,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    zero_init_residual: bool = False,
    bands: BandSet = None,
    planes: str = "ycc",
) -> SelectedNet:
    """ResNet-50 on bands; ``width`` as in ``rgb_resnet``.

    >>> from dctnet.models.cost import multiply_adds
    >>> round(multiply_adds(selected_resnet50(bands=24), 448) / 1e9, 2)            # ResNet-50 on 224 px: 4.09
    3.93
    """
    options = {"num_classes": num_classes, "width": width, "zero_init_residual": zero_init_residual}
    return SelectedNet(partial(resnet50_body, **options), block_size, bands, planes)


def selected_mobilenet_v2(
    num_classes: int = 1000,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    dropout: float = 0.2,
    bands: BandSet = None,
    planes: str = "ycc",
) -> SelectedNet:
    """MobileNetV2 on bands; ``width`` is torchvision's ``width_mult``, ``dropout`` that before the classes.

    >>> from dctnet.models.cost import parameters
    >>> parameters(selected_mobilenet_v2(bands=24)), parameters(selected_mobilenet_v2(bands=32))      # torchvision's: 3504872
    (3503728, 3503944)
    """
    options = {"num_classes": num_classes, "width": width, "dropout": dropout}
    return SelectedNet(partial(mobilenet_v2_body, **options), block_size, bands, planes)


def gated_selected_resnet50(
    num_classes: int = 1000,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    zero_init_residual: bool = False,
    gate_weight: float = 0.01,
    temperature: float = 1.0,
) -> GatedSelected:
    """``selected_resnet50`` that learns which bands it needs; ``gate_weight`` and ``temperature`` as in ``FrequencyGate``."""
    options = {"num_classes": num_classes, "width": width, "zero_init_residual": zero_init_residual}
    return GatedSelected(partial(resnet50_body, **options), block_size, gate_weight, temperature)


def gated_selected_mobilenet_v2(
    num_classes: int = 1000,
    block_size: int | tuple[int, int] = 8,
    width: float = 1.0,
    dropout: float = 0.2,
    gate_weight: float = 0.01,
    temperature: float = 1.0,
) -> GatedSelected:
    """``selected_mobilenet_v2`` that learns which bands it needs."""
    options = {"num_classes": num_classes, "width": width, "dropout": dropout}
    return GatedSelected(partial(mobilenet_v2_body, **options), block_size, gate_weight, temperature)
