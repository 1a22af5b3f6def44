"""An RGB network whose first convolution reads coefficients: no pixels are made on the way.

``nn.folded_stem`` says how the convolution is folded. Whether that pays is a matter of counting, and ``cost`` counts:

    patches in blocks     stride = kernel, a multiple or a divisor of the block: chroma has a quarter of luma's samples, so
                          16 x 16 patches cost half of what they cost on pixels, and the inverse DCT is gone
    overlapping kernels   7 x 7 at stride 2 reads 3 x 3 blocks for each block: about ten times the multiply-adds on blocks of 8
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dctnet.bands import BandSet
from dctnet.coefficients import Coefficients
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.from_rgb import PixelNetwork, from_rgb
from dctnet.models.rgb import PixelResNet
from dctnet.nn.folded_stem import FoldedStem
from dctnet.transforms.frequency import select_bands


class Picture(Coefficients):
    """Coefficients that tell the shape of their pixels, ``(n, 3, H, W)``, to networks that ask before they convolve."""

    __slots__ = ()

    @property
    def block(self) -> int:
        """The samples along a side of a block of luma."""
        return math.isqrt(self.y.shape[1])

    @property
    def shape(self) -> torch.Size:
        """That of the pixels."""
        return torch.Size((self.y.shape[0], 3, self.y.shape[2] * self.block, self.y.shape[3] * self.block))


class SelectedPicture(Picture):
    """The same of chosen bands, which are those of blocks of 8."""

    __slots__ = ()
    block = 8


class StemCost(NamedTuple):
    """A first layer in numbers: multiply-adds for one picture, and parameters; as text a table of both ways."""

    size: tuple[int, int]
    folded: int
    folded_fixed: int
    folded_parameters: int
    convolution: int
    pixels: int
    parameters: int

    def __str__(self) -> str:
        ratio = (self.folded + self.folded_fixed) / (self.convolution + self.pixels)
        return "\n".join(
            (
                f"first layer at {self.size[0]} x {self.size[1]}    M multiply-adds    parameters",
                f"  making the pixels    {self.pixels / 1e6:14.1f}",
                f"  convolution          {self.convolution / 1e6:14.1f}    {self.parameters:12,}",
                f"  chroma's grid        {self.folded_fixed / 1e6:14.1f}",
                f"  folded               {self.folded / 1e6:14.1f}    {self.folded_parameters:12,}",
                f"folded takes {ratio:.2f} times the multiply-adds of pixels and convolution",
            )
        )


class FoldedNetwork(nn.Module):
    """``network`` on coefficients, its first convolution a ``FoldedStem`` (``stem``), all else as it was; all of it trains."""

    def __init__(self, network: nn.Module, name: str, stem: FoldedStem):
        super().__init__()
        self.weights_before = network.get_submodule(name).weight.numel()
        network.set_submodule(name, stem)
        self.block_size, self.bands = stem.block_size, stem.bands
        self.network = network
        self.stem_name = name

    @property
    def stem(self) -> FoldedStem:
        """What stands where the network's first convolution was."""
        return self.network.get_submodule(self.stem_name)

    def forward(self, coefficients: Coefficients) -> Tensor:
        return self.network((Picture if self.bands is None else SelectedPicture)(*coefficients))

    def cost(self, size: int | tuple[int, int] = 224) -> StemCost:
        """What the folded first layer costs for a 4:2:0 picture of ``size``, beside the pixels and the convolution before.

        Making the pixels: inverse DCTs of 2b multiplications a sample, triangles of 2 an axis, 3 x 3 colours as PixelFrontend
        takes them. ``print`` it for a table.
        """
        stem, (luma, chroma) = self.stem, self.block_size
        planes = blank(size, self.block_size, "meta")
        rows, columns = planes.y.shape[-2] * luma, planes.y.shape[-1] * luma
        samples, chroma_samples = rows * columns, planes.cb[0].numel() * 2
        fancy = stem.chroma_upsampling == "fancy"
        grid = (
            copy.deepcopy(stem)
            .to("meta")(planes if self.bands is None else select_bands(planes, self.bands))
            .shape[-2:]
        )
        inverse = 2 * chroma * chroma_samples
        return StemCost(
            (rows, columns),
            multiply_adds(stem, size, self.block_size),
            inverse + (2 * 4 + 2 * 2 * luma) * samples if fancy else 0,
            parameters(stem),
            self.weights_before * math.prod(grid),
            (2 * luma + 3 + 3 * 4 * fancy) * samples + inverse + 3 * chroma_samples,
            self.weights_before + (0 if stem.bias is None else stem.bias.numel()),
        )


def fold_stem(model: nn.Module, bands: BandSet = None, **options: Any) -> FoldedNetwork:
    """``model`` with its first convolution and the making of pixels folded into block convolutions: a network on Coefficients.

    ``model`` is a network on RGB pixels, with ``options`` of ``from_rgb`` (mean, std, block_size, scale, chroma_upsampling), or
    what ``from_rgb`` or an ``rgb_resnet`` has made, which bring their own. It is copied and stays as it is. The logits are those
    of pixels neither clamped nor rounded, to the rounding of the dtype: 1e-4 of the largest in float32, at the borders, too.

    The first convolution is the one that gets the pixels, a ``torch.nn.Conv2d`` of any kernel, padding and dilation, and of
    one stride, which divides the block or is a multiple of it; nothing else may read the pixels. ``bands`` keeps some bands
    of each block, which makes the layer smaller and leaves the others out of the picture. ValueError for what cannot be folded.

    >>> import torchvision
    >>> model = torchvision.models.resnet18(num_classes=10).eval()
    >>> folded = fold_stem(model)
    >>> print(folded.cost())                        # overlapping kernels: a start to train from, not a saving
    first layer at 224 x 224    M multiply-adds    parameters
      making the pixels               2.0
      convolution                   118.0           9,408
      chroma's grid                   2.4
      folded                       1387.3       1,769,472
    folded takes 11.58 times the multiply-adds of pixels and convolution
    """
    if isinstance(model, (PixelNetwork, PixelResNet)):
        if options:
            raise ValueError(f"{type(model).__name__} has its own {', '.join(options)}; set them where it is made")
        if not getattr(model, "reads_chroma", True):
            raise ValueError('a folded stem reads all three planes; this network was made with planes="y"')
        frontend, model = model.frontend, model.model if isinstance(model, PixelNetwork) else model.resnet
    else:
        if asked := [name for name in ("rounded", "clamp") if options.get(name)]:
            raise ValueError(
                f"a convolution can neither round nor clamp the pixels it is folded with; leave out {asked[0]}="
            )
        frontend = from_rgb(model, **options).frontend
    network = copy.deepcopy(model)
    if isinstance(network, nn.Conv2d):
        network = nn.Sequential(network)
    name = first_convolution(network)
    folded = FoldedNetwork(network, name, FoldedStem(network.get_submodule(name), frontend, bands))
    _check_runs(folded)
    return folded


def _check_runs(folded: FoldedNetwork, size: int = 224) -> None:
    """ValueError where the network asks for more of its picture than its first convolution, found out without computing."""
    sizes, bands = folded.block_size, folded.stem.bands
    planes = blank(-(-size // (2 * max(sizes))) * 2 * max(sizes), sizes, "meta", n=2)
    try:
        copy.deepcopy(folded).to("meta").eval()(planes if bands is None else select_bands(planes, bands))
    except (TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"this network does more with its pixels than one convolution, which cannot be folded ({error}); use from_rgb"
        ) from error


class _Found(Exception):
    """Ends the run that looks for the first convolution."""


def first_convolution(model: nn.Module, size: int = 224) -> str:
    """The name of the convolution that gets the pixels; ValueError where something else does.

    The model runs on PyTorch's "meta" device, on a picture of ``size``, and only as far as its first convolution.
    """
    twin = copy.deepcopy(model).to("meta").eval()
    pixels = torch.zeros(1, 3, size, size, device="meta")
    pixels = pixels.to(next((p.dtype for p in twin.parameters() if p.is_floating_point()), pixels.dtype))
    names = {module: name for name, module in twin.named_modules() if isinstance(module, nn.Conv2d)}

    def found(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        raise _Found(names[module], inputs[0] is pixels)

    for module in names:
        module.register_forward_pre_hook(found)
    try:
        twin(pixels)
    except _Found as first:
        name, gets_pixels = first.args
        if gets_pixels:
            return name
        raise ValueError(
            f"the first convolution, {name}, does not get the pixels themselves: something changes them before, which a fold "
            "would leave out. Put what stands before it into mean and std, or use from_rgb."
        ) from None
    raise ValueError(f"{type(model).__name__} has no torch.nn.Conv2d to fold; use from_rgb")
