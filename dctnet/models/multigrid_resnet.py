"""ResNets whose grids are the planes of the file: luma on one path, chroma on another of half its resolution.

A 4:2:0 JPEG is a pyramid of two grids. Each path has a stem and the stages 2, 3, ... of a ResNet on the grid of its plane;
``PlaneExchange`` carries messages between them; before stage ``merge`` they become one, which has the remaining stages.

    stem        BN on coefficients, k x k convolution (stride t / b where b is less than t, k = 2 t / b - 1; else k = 3), BN, ReLU
    stage i     the blocks of ResNet-18, -34 or -50 on a grid of max(p, s_i) pixels a sample
    merge       concatenation on one grid; the coarser path grows, or the finer one is pooled, where stage i is coarser too

b is the block size, p = b for luma and 2b for chroma the pixels between the samples of a plane, s_i = t 2^(i-2) those of
stage i of the pixel network, t = 4 with ``stem="imagenet"`` and 1 with "cifar". So a stage runs where the pixel network runs
it, or on the grid of its plane, if that is coarser: at block size 4 and 224 px luma has the grids 56, 28, 14, 7, chroma 28, 28, 14, 7.
At block size (4, 2) both have 56, 28, 14, 7.

Ke, Maire and Yu (CVPR 2017) have the exchange between grids at every layer, on pixels. Where each plane is a path and when they
merge is what ``docs/multigrid.md`` measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dctnet.arguments import whole
from dctnet.bands import Bands, BandSet, bands_of
from dctnet.coefficients import Coefficients, block_sizes
from dctnet.models.blocks import BasicBlock, Bottleneck, initialise
from dctnet.models.stages import BLOCKS_OF_STAGE, scaled
from dctnet.nn.exchange import Message, PlaneExchange
from dctnet.nn.grids import check_kind, grow, shrink
from dctnet.nn.plane_resample import PlaneResample
from dctnet.nn.planes import check_planes

FIRST, LAST = 2, 5  # stages
TARGETS = {"imagenet": 4, "cifar": 1}


class Path(nn.Module):
    """A path's stem and stages, on a plane of ``spacing`` pixels a sample; ``forward`` is of one block, ``stages[i][j]``.

    ``counts`` are the blocks of stages ``FIRST``, ``FIRST`` + 1, ...; a stage starts with a projection and a change of grid.
    ``spacings`` are the pixels a sample of each stage, ``channels`` what comes out of each.
    """

    def __init__(
        self,
        stem: nn.Module | None,
        inputs: int,
        spacing: int,
        first: int,
        counts: Sequence[int],
        bottleneck: bool,
        width: float,
        target: int,
        kernel: int = 3,
        pooling: str = "strided",
    ):
        super().__init__()
        self.stem = nn.Identity() if stem is None else stem
        self.spacings, self.channels = [], []
        self.stages = nn.ModuleList()
        for number, count in enumerate(counts, start=first):
            goal = max(spacing, target * 2 ** (number - FIRST)) if count else spacing
            blocks = nn.ModuleList()
            for index in range(count):
                factor = goal // spacing if index == 0 else 1
                blocks.append(_block(inputs, number, bottleneck, width, index == 0, factor, kernel, pooling))
                inputs = _outputs(number, bottleneck, width)
            spacing = goal
            self.stages.append(blocks)
            self.spacings.append(spacing)
            self.channels.append(inputs)


class MultigridResNet(nn.Module):
    """Logits ``(n, num_classes)`` from Coefficients, planes ``(n, b*b, H/b, W/b)`` of raw dequantised coefficients, 4:2:0.

    Options that take one value for both paths or two, (luma, chroma):

    - ``block_size``: 1, 2, 4, 8, 16, 32
    - ``path_width``: multiplies the channels of the stages before the merge
    - ``kernel``: of the k x k convolutions of these stages
    - ``pooling``: how a path gets to a coarser grid, a kind of ``dctnet.nn.grids``; "strided" is the stride of a convolution

    Numbers of residual blocks are those of the ResNet of ``depth`` 18, 34 or 50, or

    - ``path_blocks``: one number for each stage from 2 to the merge, 0 for none, or such a list for luma and one for chroma
    - ``body_blocks``: one number, 1 or more, for each stage after the merge

    ``merge``: the stage, 2 to 5, before which the paths become one; None: they stay apart up to the classifier, which reads the
    means of all. ``exchange``: a kind of ``PlaneExchange`` for the stages before; ``every``: "stage" has it behind each, "layer"
    behind each residual block; ``resample``: a kind of ``dctnet.nn.grids`` for it. ``grids`` more than 2 adds paths like that of
    chroma, each of half the resolution of the one before: all planes, their DCT truncated. ``pyramid`` "coarser" gives the
    path of chroma luma on its own grid, too, by truncation; "finer" that of luma the chroma, extended by zeros; "both"; "none".
    ``planes="y"``: luma is all that is read. ``width`` multiplies all channels; ``bands`` (blocks of 8, no pyramid) are those
    that ``SelectBands`` makes.

    The sides of pictures are multiples of ``self.multiple`` pixels; ValueError for others and for options that do not exist.

    >>> model = MultigridResNet(18, 10, block_size=2, width=0.25, stem="cifar").eval()
    >>> model(Coefficients(torch.zeros(1, 4, 16, 16), *(torch.zeros(1, 4, 8, 8) for _ in range(2)))).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 1000,
        block_size: int | tuple[int, int] = 4,
        width: float = 1.0,
        path_width: float | tuple[float, float] = (1.0, 0.25),
        path_blocks: Sequence[int] | Sequence[Sequence[int]] | None = None,
        body_blocks: Sequence[int] | None = None,
        kernel: int | tuple[int, int] = 3,
        pooling: str | tuple[str, str] = "strided",
        merge: int | None = 4,
        exchange: str = "none",
        every: str = "stage",
        resample: str = "average",
        grids: int = 2,
        pyramid: str = "none",
        planes: str = "ycc",
        bands: BandSet = None,
        stem: str = "imagenet",
        zero_init_residual: bool = False,
    ):
        super().__init__()
        self.block_size = block_sizes(block_size)
        self.bands = None if bands is None else bands_of(bands)
        _check(depth, merge, every, grids, pyramid, planes, stem, self.bands, self.block_size)
        self.planes = planes
        count = whole("grids", grids, 2) if planes == "ycc" else 1
        widths, kernels, poolings = (_each(value, count) for value in (path_width, kernel, pooling))
        for kind in poolings:
            check_kind(kind)
        until = LAST + 1 if merge is None else merge
        target, bottleneck = TARGETS[stem], depth == 50
        table = BLOCKS_OF_STAGE[depth]
        counts = _counts("path_blocks", path_blocks, [table[i] for i in range(FIRST, until)], count, 0)
        (body_counts,) = _counts("body_blocks", body_blocks, [table[i] for i in range(until, LAST + 1)], 1, 1)

        self.pyramid = Pyramid(self.block_size, count, pyramid, planes, self.bands)
        self.paths = nn.ModuleList()
        for inputs, spacing, path_w, blocks, size, kind in zip(
            self.pyramid.channels,
            self.pyramid.spacings,
            widths,
            counts,
            kernels,
            poolings,
            strict=True,
        ):
            first = scaled(64, width * path_w)
            stem_layers, apart = _stem(inputs, first, spacing, target)
            options = (bottleneck, width * path_w, target, size, kind)
            self.paths.append(Path(stem_layers, first, apart, FIRST, blocks, *options))
        spacings = [[max(target, spacing) for spacing in self.pyramid.spacings]]
        spacings += [list(row) for row in zip(*(path.spacings for path in self.paths), strict=True)]
        self.multiple = max(map(max, spacings))
        self.every, self.exchanges = every, nn.ModuleList()
        if exchange != "none":
            for stage in range(until - FIRST):
                channels = [path.channels[stage] for path in self.paths]
                apart = spacings[stage + 1]
                factors = [coarse // fine for fine, coarse in pairwise(apart)]
                times = max(len(path.stages[stage]) for path in self.paths) if every == "layer" else 1
                layers = (
                    PlaneExchange(channels, factors, exchange, resample, zero_init_residual) for _ in range(times)
                )
                self.exchanges.append(nn.ModuleList(layers))

        channels = [
            path.channels[-1] if path.channels else scaled(64, width * w)
            for path, w in zip(self.paths, widths, strict=True)
        ]
        if merge is None:
            self.merge, self.body, features = None, None, sum(channels)
        else:
            apart, goal = spacings[-1], target * 2 ** (merge - FIRST)
            together = apart[0] if len(set(apart)) == 1 else max(apart[0], min(goal, apart[1]))
            self.merge = nn.ModuleList(
                _joint(c, spacing, together, kind) for c, spacing, kind in zip(channels, apart, poolings, strict=True)
            )
            self.multiple = max(self.multiple, together)
            self.body = Path(None, sum(channels), together, merge, body_counts, bottleneck, width, target)
            features = self.body.channels[-1]
        self.fc = nn.Linear(features, num_classes)
        initialise(self, zero_init_residual)
        for module in self.modules():
            if isinstance(module, Message):
                module.start()

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size, self.bands)
        coefficients = coefficients.to(self.fc.weight.dtype)
        self._check_grids(coefficients)
        maps = [path.stem(plane) for path, plane in zip(self.paths, self.pyramid(coefficients), strict=True)]
        for number in range(len(self.paths[0].stages)):
            maps = self._stage(maps, number)
        if self.body is None:
            return self.fc(torch.cat([x.mean((2, 3)) for x in maps], 1))
        x = torch.cat([joint(x) for joint, x in zip(self.merge, maps, strict=True)], 1)
        for stage in self.body.stages:
            for block in stage:
                x = block(x)
        return self.fc(x.mean((2, 3)))

    def _stage(self, maps: list[Tensor], number: int) -> list[Tensor]:
        exchanges = self.exchanges[number] if len(self.exchanges) else []
        stages = [path.stages[number] for path in self.paths]
        for index in range(max(map(len, stages), default=0)):
            maps = [stage[index](x) if index < len(stage) else x for stage, x in zip(stages, maps, strict=True)]
            if self.every == "layer" and len(exchanges):
                maps = exchanges[index](maps)
        return exchanges[0](maps) if self.every == "stage" and len(exchanges) else maps

    def _check_grids(self, coefficients: Coefficients) -> None:
        luma, chroma = self.block_size
        for y, c in zip(coefficients.y.shape[-2:], coefficients.cb.shape[-2:], strict=True):
            pixels = y * luma
            if pixels % self.multiple or not pixels or (self.planes == "ycc" and c * 2 * chroma != pixels):
                grids = (tuple(plane.shape[-2:]) for plane in (coefficients.y, coefficients.cb))
                raise ValueError(
                    f"this network reads 4:2:0 planes of pictures whose sides are multiples of {self.multiple} pixels; got grids "
                    "of Y {} and chroma {} ".format(*grids)
                    + f"for block sizes {self.block_size}. Resize or crop the pictures."
                )


class Pyramid(nn.Module):
    """What each path reads: ``forward`` gives a list of planes, with these ``channels`` and ``spacings`` (pixels a sample)."""

    def __init__(self, sizes: tuple[int, int], grids: int, kind: str, planes: str, bands: Bands | None):
        super().__init__()
        luma, chroma = sizes
        y, c = (luma**2, 2 * chroma**2) if bands is None else (len(bands.y), len(bands.cb) + len(bands.cr))
        self.spacings = [luma, *(chroma * 2**i for i in range(1, grids))]
        if planes == "y":
            self.spacings = [luma]
        self.channels = [y, *(grids > 1) * [c], *max(0, grids - 2) * [3 * chroma**2]]
        self.finer = PlaneResample(chroma, luma, 2) if kind in ("finer", "both") else None
        self.coarser = PlaneResample(luma, chroma, 0.5) if kind in ("coarser", "both") or grids > 2 else None
        self.halving = PlaneResample(chroma, chroma, 0.5) if grids > 2 else None
        self.kind = kind
        if self.finer is not None:
            self.channels[0] += 2 * luma**2
        if kind in ("coarser", "both"):
            self.channels[1] += chroma**2

    def forward(self, coefficients: Coefficients) -> list[Tensor]:
        y, cb, cr = coefficients
        paths = [[y]]
        if len(self.channels) > 1:
            paths.append([cb, cr])
        if self.finer is not None:
            paths[0] += [self.finer(cb), self.finer(cr)]
        low = None if self.coarser is None else [self.coarser(y), cb, cr]
        if self.kind in ("coarser", "both"):
            paths[1] = low
        for _ in self.channels[2:]:
            low = [self.halving(plane) for plane in low]
            paths.append(low)
        return [torch.cat(path, 1) for path in paths]


def _stem(inputs: int, outputs: int, spacing: int, target: int) -> tuple[nn.Module, int]:
    """The stem of a path, and the pixels between the samples behind it."""
    stride = max(1, target // spacing)
    kernel = max(3, 2 * stride - 1)
    layers = (
        nn.BatchNorm2d(inputs),
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
    return nn.Sequential(*layers), spacing * stride


def _outputs(number: int, bottleneck: bool, width: float) -> int:
    return scaled(64 * 2 ** (number - FIRST) * (4 if bottleneck else 1), width)


def _block(
    inputs: int, number: int, bottleneck: bool, width: float, first: bool, factor: int, kernel: int, pooling: str
) -> nn.Module:
    """A residual block of stage ``number``; the first one projects, and brings the map to a grid coarser by ``factor``."""
    outputs = _outputs(number, bottleneck, width)
    stride = factor if pooling == "strided" else 1
    if bottleneck:
        middle = scaled(64 * 2 ** (number - FIRST), width)
        block = Bottleneck(inputs, middle, outputs, kernel, stride, first)
    else:
        block = BasicBlock(inputs, outputs, kernel, stride, first)
    return block if factor == stride else nn.Sequential(shrink(pooling, factor), block)


def _joint(channels: int, spacing: int, together: int, pooling: str) -> nn.Module:
    """What brings a path to the grid on which all are concatenated."""
    if spacing > together:
        return grow(pooling, spacing // together)
    if pooling != "strided" or spacing == together:
        return shrink(pooling, together // spacing)
    convolution = nn.Conv2d(channels, channels, 3, together // spacing, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _each(value: object, count: int) -> list:
    """One value a path, from one for all or two: (luma, all others)."""
    first, other = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    return [first, *(count - 1) * [other]]


def _counts(name: str, given: Sequence | None, usual: list[int], paths: int, least: int) -> list[list[int]]:
    """Blocks of each stage for each path: the usual, one list for all, or two: that of luma, and that of all others."""
    if given is None:
        return [usual] * paths
    lists = _each(given, paths) if len(given) and isinstance(given[0], (list, tuple)) else [given] * paths
    if any(len(blocks) != len(usual) for blocks in lists):
        raise ValueError(f"{name} has one number for each of {len(usual)} stages; got {given!r}")
    return [[whole(name, blocks_of_stage, least) for blocks_of_stage in blocks] for blocks in lists]


def _check(
    depth: int,
    merge: int | None,
    every: str,
    grids: int,
    pyramid: str,
    planes: str,
    stem: str,
    bands: Bands | None,
    sizes: tuple[int, int],
) -> None:
    """ValueError for options that do not exist, or not together."""
    options = {
        "depth": (depth, tuple(BLOCKS_OF_STAGE)),
        "merge": (merge, (None, *range(FIRST, LAST + 1))),
        "every": (every, ("stage", "layer")),
        "pyramid": (pyramid, ("none", "coarser", "finer", "both")),
        "planes": (planes, ("ycc", "y")),
        "stem": (stem, tuple(TARGETS)),
    }
    for name, (value, known) in options.items():
        if value not in known:
            raise ValueError(f"{name} is one of {known}; got {value!r}")
    if planes == "y" and pyramid != "none":
        raise ValueError(f'planes="y" reads luma alone, which has no pyramid; got pyramid={pyramid!r}')
    if bands is not None and (sizes != (8, 8) or pyramid != "none" or grids != 2):
        raise ValueError(
            f"bands are selected from blocks of 8 without a pyramid; got block_size={sizes}, pyramid={pyramid!r}, grids={grids}"
        )
