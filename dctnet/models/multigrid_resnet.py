"""ResNets whose grids are the planes of the file: luma on one path, chroma on another of half its resolution.

A 4:2:0 JPEG is a pyramid of two grids. Each path has a stem and the stages 2, 3, ... of a ResNet on the grid of its plane;
``PlaneExchange`` carries messages between them; before stage ``merge`` they become one, which has the remaining stages.

    stem        BN on coefficients, k x k convolution (stride t / p where p is less than t, k = 2 t / p - 1; else k = 3), BN, ReLU
    stage i     the blocks of ResNet-18, -34 or -50 on a grid of max(p, s_i) pixels a sample
    merge       concatenation on one grid; the coarser path grows, or the finer one is pooled, where the next stage is coarser too

p are the pixels between the samples of a plane, the block size of luma and twice that of chroma; s_i = t 2^(i-2) those of stage
i of the pixel network, t = 4 with ``stem="imagenet"`` and 1 with "cifar". So a stage runs where the pixel network runs it, or
on the grid of its plane, if that is coarser. At 224 px, luma and chroma have the grids

    block size 4         56, 28, 14, 7    and    28, 28, 14, 7
    block size (4, 2)    56, 28, 14, 7    and    56, 28, 14, 7
    block size 8         28, 28, 14, 7    and    14, 14, 14, 7

Ke, Maire and Yu (CVPR 2017) have the exchange between grids at every layer, on pixels (``multigrid.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from dctnet.arguments import choice, finite, flag, whole
from dctnet.bands import BandSet, bands_of
from dctnet.coefficients import Coefficients, block_sizes
from dctnet.models.blocks import initialise
from dctnet.models.path import FIRST, LAST, Path, Style, joint, stem
from dctnet.models.stages import BLOCKS_OF_STAGE, scaled
from dctnet.nn.exchange import EXCHANGES, Message, PlaneExchange
from dctnet.nn.grids import KINDS as RESAMPLES
from dctnet.nn.grids import check_kind
from dctnet.nn.plane_pyramid import KINDS, PlanePyramid
from dctnet.nn.planes import check_planes, reads_chroma

TARGETS = {"imagenet": 4, "cifar": 1}


class MultigridResNet(nn.Module):
    """Logits ``(n, num_classes)`` from Coefficients, planes ``(n, b*b, H/b, W/b)`` of raw dequantised coefficients, 4:2:0.

    Options that take one value for all paths or two, (luma, chroma):

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
    chroma, each of half the resolution of the one before: all planes, their DCT truncated. ``pyramid``: a kind of
    ``PlanePyramid``. ``planes="y"``: luma is all that is read. ``width`` multiplies all channels; ``bands`` (blocks of 8, no
    pyramid) are those that ``SelectBands`` makes.

    The sides of pictures are multiples of ``self.multiple`` pixels; ValueError for others and for options that do not exist.

    >>> model = MultigridResNet(18, 10, block_size=2, width=0.25, stem="cifar").eval()
    >>> model(Coefficients(torch.zeros(1, 4, 16, 16), *(torch.zeros(1, 4, 8, 8) for _ in range(2)))).shape
    torch.Size([1, 10])
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 1000,
        block_size: int | tuple[int, int] = 8,
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
        for name, value, known in (
            ("depth", depth, tuple(BLOCKS_OF_STAGE)),
            ("merge", merge, (None, *range(FIRST, LAST + 1))),
            ("every", every, ("stage", "layer")),
            ("exchange", exchange, EXCHANGES),
            ("resample", resample, RESAMPLES),
            ("pyramid", pyramid, KINDS),
            ("stem", stem, tuple(TARGETS)),
        ):
            choice(name, value, known)
        self.block_size, self.reads_chroma = block_sizes(block_size), reads_chroma(planes)
        self.bands = None if bands is None else bands_of(bands)
        grids = whole("grids", grids, 2)
        if not self.reads_chroma and grids > 2:
            raise ValueError(f'planes="y" has one grid, that of luma; got grids={grids}')
        if not self.reads_chroma and exchange != "none":
            raise ValueError(f'planes="y" has one grid, and nothing to exchange; got exchange={exchange!r}')
        grids = grids if self.reads_chroma else 1
        self.pyramid = PlanePyramid(self.block_size, grids, pyramid, self._inputs(pyramid, grids))

        until, target, table = (LAST + 1 if merge is None else merge), TARGETS[stem], BLOCKS_OF_STAGE[depth]
        counts = _counts("path_blocks", path_blocks, [table[i] for i in range(FIRST, until)], grids, 0)
        width = finite("width", width, 0, open_low=True)
        widths, kernels, poolings = (_each(value, grids) for value in (path_width, kernel, pooling))
        styles = [
            Style(
                depth == 50,
                width * finite("path_width", path, 0, open_low=True),
                target,
                whole("kernel", k, 1),
                check_kind(kind),
            )
            for path, k, kind in zip(widths, kernels, poolings, strict=True)
        ]
        self._make_paths(styles, counts)
        self.every = every
        self._make_exchanges(exchange, resample)
        if exchange != "none" and self.reads_chroma and not any(map(len, self.exchanges)):
            raise ValueError(
                f"an exchange stands behind the blocks of a stage before the merge, and there are none; got merge={merge}, "
                f"path_blocks={path_blocks}, exchange={exchange!r}"
            )
        if merge is None and body_blocks is not None:
            raise ValueError("body_blocks are those of the stages after the merge; with merge=None there are none")
        ends = [path.channels[-1] for path in self.paths]
        self.joints, self.body, features = None, None, sum(ends)
        if merge is not None:
            blocks, *others = _counts("body_blocks", body_blocks, [table[i] for i in range(merge, LAST + 1)], 1, 1)
            if others:
                raise ValueError(f"body_blocks is one list of numbers; got {body_blocks!r}")
            apart, goal = self.spacings[-1], target * 2 ** (merge - FIRST)
            together = apart[0] if len(set(apart)) == 1 else max(apart[0], min(goal, apart[1]))
            joints = (joint(*end, together, kind) for *end, kind in zip(ends, apart, poolings, strict=True))
            self.joints = nn.ModuleList(joints)
            self.body = Path(features, together, merge, blocks, Style(depth == 50, width, target))
            features = self.body.channels[-1]
        self.multiple = max(map(max, self.spacings))
        self.fc = nn.Linear(features, num_classes)
        initialise(self, flag("zero_init_residual", zero_init_residual))
        for module in self.modules():
            if zero_init_residual and isinstance(module, Message):
                nn.init.zeros_(module.project[-1].weight)

    def _inputs(self, pyramid: str, grids: int) -> tuple[int, int]:
        """Channels of luma and of both chroma planes as they come in."""
        luma, chroma = self.block_size
        if not self.reads_chroma and pyramid != "none":
            raise ValueError(f'planes="y" reads luma alone, which has no pyramid; got pyramid={pyramid!r}')
        if self.bands is None:
            return luma**2, 2 * chroma**2
        if self.block_size != (8, 8) or pyramid != "none" or grids > 2:
            raise ValueError(
                f"bands are selected from blocks of 8, and a pyramid wants all of them; got block_size={self.block_size}, "
                f"pyramid={pyramid!r}, grids={grids}"
            )
        return len(self.bands.y), len(self.bands.cb) + len(self.bands.cr)

    def _make_paths(self, styles: list[Style], counts: list[list[int]]) -> None:
        """``stems`` and ``paths``; ``spacings[i]`` are the pixels a sample of each path before stage ``FIRST`` + i."""
        self.stems, self.paths, spacings = nn.ModuleList(), nn.ModuleList(), []
        for inputs, spacing, style, blocks in zip(
            self.pyramid.channels, self.pyramid.spacings, styles, counts, strict=True
        ):
            stride, channels = max(1, style.target // spacing), scaled(64, style.width)
            self.stems.append(stem(inputs, channels, stride))
            path = Path(channels, spacing * stride, FIRST, blocks, style)
            path.channels, path.spacings = [channels, *path.channels], [spacing * stride, *path.spacings]
            self.paths.append(path)
            spacings.append(path.spacings)
        self.spacings = list(zip(*spacings, strict=True))

    def _make_exchanges(self, kind: str, resample: str) -> None:
        """``exchanges``: for each stage before the merge the layers behind it, one or one a residual block."""
        self.exchanges = nn.ModuleList()
        for number, apart in enumerate(self.spacings[1:]):
            stages = [path.stages[number] for path in self.paths]
            times = max(map(len, stages)) if self.every == "layer" else int(any(map(len, stages)))
            channels = [path.channels[number + 1] for path in self.paths]
            if any(fine > coarse for fine, coarse in pairwise(apart)) and kind != "none":
                raise ValueError(
                    f"an exchange goes between a grid and a coarser one; behind stage {FIRST + number} luma has {apart[0]} "
                    f"pixels a sample and chroma {apart[1]}. Give chroma larger blocks, or both paths a block in this stage."
                )
            factors = [coarse // fine for fine, coarse in pairwise(apart)]
            layers = (PlaneExchange(channels, factors, kind, resample) for _ in range(times if kind != "none" else 0))
            self.exchanges.append(nn.ModuleList(layers))

    def forward(self, coefficients: Coefficients) -> Tensor:
        check_planes(coefficients, self.block_size, self.bands, self.reads_chroma)
        self._check_grids(coefficients)
        planes = self.pyramid(coefficients.to(self.fc.weight.dtype))
        maps = [layers(plane) for layers, plane in zip(self.stems, planes, strict=True)]
        for number, exchanges in enumerate(self.exchanges):
            maps = self._stage(maps, [path.stages[number] for path in self.paths], exchanges)
        if self.body is None:
            return self.fc(torch.cat([x.mean((2, 3)) for x in maps], 1))
        x = torch.cat([layers(x) for layers, x in zip(self.joints, maps, strict=True)], 1)
        return self.fc(self.body(x).mean((2, 3)))

    def _stage(self, maps: list[Tensor], stages: list[nn.ModuleList], exchanges: nn.ModuleList) -> list[Tensor]:
        for index in range(max(map(len, stages))):
            maps = [stage[index](x) if index < len(stage) else x for stage, x in zip(stages, maps, strict=True)]
            if self.every == "layer" and len(exchanges):
                maps = exchanges[index](maps)
        return exchanges[0](maps) if self.every == "stage" and len(exchanges) else maps

    def _check_grids(self, coefficients: Coefficients) -> None:
        luma, chroma = self.block_size
        for y, c in zip(coefficients.y.shape[-2:], coefficients.cb.shape[-2:], strict=True):
            pixels = y * luma
            if pixels % self.multiple or not pixels or (self.reads_chroma and c * 2 * chroma != pixels):
                grids = (tuple(plane.shape[-2:]) for plane in (coefficients.y, coefficients.cb))
                raise ValueError(
                    f"this network reads 4:2:0 planes of pictures whose sides are multiples of {self.multiple} pixels; got grids "
                    "of Y {} and chroma {} ".format(*grids)
                    + f"for block sizes {self.block_size}. Resize or crop the pictures."
                )


def _each(value: object, count: int) -> list[Any]:
    """One value a path, from one for all or two: that of luma, and that of all others."""
    if isinstance(value, (tuple, list)) and len(value) != 2:
        raise ValueError(f"an option of the paths is one value, or two: (luma, chroma); got {value!r}")
    first, other = value if isinstance(value, (tuple, list)) else (value, value)
    return [first, *(count - 1) * [other]]


def _counts(name: str, given: Sequence[Any] | None, usual: list[int], paths: int, least: int) -> list[list[int]]:
    """Blocks of each stage for each path: the usual, one list for all, or two: that of luma, and that of all others."""
    if given is None:
        return [usual] * paths
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"{name} is a list, one number for each of {len(usual)} stages; got {given!r}")
    nested = any(isinstance(blocks, (list, tuple)) for blocks in given)
    lists = (
        _each(given, max(2, paths))[: paths if paths > 1 or name == "path_blocks" else 2] if nested else [given] * paths
    )
    if any(not isinstance(blocks, (list, tuple)) or len(blocks) != len(usual) for blocks in lists):
        raise ValueError(f"{name} has one number for each of {len(usual)} stages; got {given!r}")
    return [[whole(name, number, least) for number in blocks] for blocks in lists]
