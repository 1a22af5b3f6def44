"""A table of a network, stage by stage: grids, channels, parameters, multiply-adds, receptive field."""

from __future__ import annotations

import copy
from functools import partial
from typing import NamedTuple

import torch
from rich.table import Table
from torch import nn

from dctnet.coefficients import Coefficients, block_sizes
from dctnet.models.cost import blank, check_reads_pictures, counted, parameters
from dctnet.models.receptive_field import receptive_fields, tensors
from dctnet.transforms.frequency import select_bands


class Grid(NamedTuple):
    """What a stage gives on one path: channels, and (rows, columns), None for a vector."""

    channels: int
    size: tuple[int, int] | None

    def __str__(self) -> str:
        return f"{self.channels}" if self.size is None else f"{self.channels} x {self.size[0]} x {self.size[1]}"


class Stage(NamedTuple):
    """A row of a summary; ``receptive_field``: (height, width) in pixels for each of ``grids``, None where it is the picture."""

    name: str
    grids: tuple[Grid, ...]
    parameters: int
    multiply_adds: int
    receptive_field: tuple[tuple[int, int] | None, ...]


class Summary(NamedTuple):
    """The stages of a network for pictures of ``size``; the totals are those of ``cost.parameters`` and ``multiply_adds``."""

    size: tuple[int, int]
    stages: tuple[Stage, ...]
    parameters: int
    multiply_adds: int

    def table(self) -> Table:
        """The summary as a table of rich, for a console to print."""
        title = f"{self.size[0]} x {self.size[1]} pixels"
        table = Table("stage", title=title, show_footer=True)
        table.columns[0].footer = "total"
        table.add_column("output", justify="right")
        table.add_column("parameters", f"{self.parameters:,}", justify="right")
        table.add_column("multiply-adds", f"{self.multiply_adds:,}", justify="right")
        table.add_column("receptive field", justify="right")
        for stage in self.stages:
            fields = ["picture" if field is None else f"{field[0]} x {field[1]}" for field in stage.receptive_field]
            table.add_row(
                stage.name,
                "\n".join(map(str, stage.grids)),
                f"{stage.parameters:,}",
                f"{stage.multiply_adds:,}",
                "\n".join(fields),
            )
        return table

    def rows(self) -> list[dict[str, object]]:
        """The stages as plain values."""
        return [
            stage._asdict()
            | {"grids": [tuple(grid) for grid in stage.grids], "receptive_field": list(stage.receptive_field)}
            for stage in self.stages
        ]


def summary(
    model: nn.Module, size: int | tuple[int, int] = 224, block_size: int | tuple[int, int] | None = None
) -> Summary:
    """What each stage of ``model`` makes of a picture of ``size`` pixels (a side, or height and width), and what it costs.

    A stage is a run of neighbouring modules of one container that give the same channels on the same grid, so the blocks of a
    residual stage are one row, and each path has its own. A module whose results are several tensors has a grid for each.
    ``block_size`` is that of the planes, by default ``model.block_size``. Nothing but the receptive field is computed
    (``models.receptive_field`` says how); it is measured on larger pictures too, up to four times ``size``, and is "picture"
    (None) where that does not hold it, as after a global pool. The model stays as it is.

    >>> from dctnet.models.zoo import create_model
    >>> found = summary(create_model("late_concat", depth=18, width=0.5))
    >>> for stage in found.stages[:5]:
    ...     print(stage.name, *stage.grids, stage.parameters, stage.receptive_field[0])
    luma.0-2 64 x 28 x 28 152320 (72, 72)
    luma.3 64 x 14 x 14 78208 (120, 120)
    chroma.0 128 x 14 x 14 256 (16, 16)
    chroma.1 64 x 14 x 14 20864 (16, 16)
    body.0 128 x 14 x 14 295424 (184, 184)
    """
    check_reads_pictures(model)
    sizes = block_sizes(getattr(model, "block_size", 8) if block_size is None else block_size)
    run = partial(_outputs, copy.deepcopy(model).to("meta").eval(), sizes)
    grids, costs = run(size)
    runs = _runs(grids)
    larger, _ = run(_times(size, 2))
    local = [name for name in (run[-1] for run in runs) if grids[name] != larger[name]]
    fields = _fields(model, local, size, sizes)

    def inside(name: str, run: list[str]) -> bool:
        return any(name == row or name.startswith(row + ".") for row in run)

    numbers = {name: parameter.numel() for name, parameter in model.named_parameters()}
    stages = []
    for run in runs:
        own = sum(number for name, number in numbers.items() if inside(name, run))
        adds = sum(cost for name, cost in costs.items() if inside(name, run))
        name = run[0] if len(run) == 1 else f"{run[0]}-{run[-1].rpartition('.')[2]}"
        found = fields.get(run[-1], len(grids[run[-1]]) * [None])
        stages.append(Stage(name, grids[run[-1]], own, adds, tuple(found)))
    called = [name for run in runs for name in run]
    rest = sum(number for name, number in numbers.items() if not inside(name, called))
    if rest:
        stages.append(Stage("(parameters of no module)", (), rest, 0, ()))
    height, width = (size, size) if isinstance(size, int) else size
    return Summary((height, width), tuple(stages), parameters(model), sum(costs.values()))


def _rows(model: nn.Module) -> list[str]:
    """The modules that are looked at as one: leaves, and blocks, by which is meant what holds no list of blocks itself."""
    found = []

    def walk(module: nn.Module, name: str) -> None:
        if not isinstance(module, (nn.ModuleList, nn.ModuleDict)) and name and not _holds_blocks(module):
            found.append(name)
            return
        for key, child in module.named_children():
            walk(child, f"{name}.{key}" if name else key)

    walk(model, "")
    return found


def _holds_blocks(module: nn.Module) -> bool:
    lists = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    return any(
        isinstance(part, lists)
        and any(list(child.children()) and not isinstance(child, lists) for child in part.children())
        for part in module.modules()
    )


def _outputs(
    twin: nn.Module, sizes: tuple[int, int], size: int | tuple[int, int]
) -> tuple[dict[str, tuple[Grid, ...]], dict[str, int]]:
    """What each row gives for a picture of ``size``, in the order of the calls, and the multiply-adds of each layer."""
    grids: dict[str, tuple[Grid, ...]] = {}

    def note(name: str, module: nn.Module, inputs: object, output: object) -> None:
        shapes = [tensor.shape for tensor in tensors(output) if tensor.ndim > 1]
        grids[name] = tuple(Grid(shape[1], tuple(shape[2:]) if len(shape) == 4 else None) for shape in shapes)

    modules = dict(twin.named_modules())
    hooks = [modules[name].register_forward_hook(partial(note, name)) for name in _rows(twin)]
    costs = counted(twin, _planes(twin, size, sizes, "meta"))
    for hook in hooks:
        hook.remove()
    return grids, costs


def _runs(grids: dict[str, tuple[Grid, ...]]) -> list[list[str]]:
    """The modules in the order of their calls, neighbours in one container with the same grids together."""
    runs: list[list[str]] = []
    for name in grids:
        before = runs[-1][-1] if runs else None
        if before and name.rpartition(".")[0] == before.rpartition(".")[0] and grids[name] == grids[before]:
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs


def _times(size: int | tuple[int, int], factor: int) -> int | tuple[int, int]:
    return factor * size if isinstance(size, int) else (factor * size[0], factor * size[1])


def _planes(
    model: nn.Module, size: int | tuple[int, int], sizes: tuple[int, int], device: torch.device | str
) -> Coefficients:
    planes, bands = blank(size, sizes, device), getattr(model, "bands", None)
    return planes if bands is None else select_bands(planes, bands)


def _fields(
    model: nn.Module, names: list[str], size: int | tuple[int, int], sizes: tuple[int, int]
) -> dict[str, list[tuple[int, int] | None]]:
    """The receptive fields of modules that give maps, on pictures as large as they need, up to four times ``size``."""
    spacing = [(sizes[0],) * 2, *2 * [(2 * sizes[1],) * 2]]
    fields: dict[str, list[tuple[int, int] | None]] = {}
    for factor in (1, 2, 4):
        planes = _planes(model, _times(size, factor), sizes, "cpu")
        fields |= receptive_fields(model, names, planes, spacing)
        names = [name for name in names if None in fields[name]]
        if not names:
            break
    return fields
