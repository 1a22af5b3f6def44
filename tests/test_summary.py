"""Summaries against the costs they are made of, published receptive fields, and what a poisoned input reaches."""

import copy

import pytest
import torch
from torch import nn

import dctnet
from dctnet.coefficients import Coefficients
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.from_rgb import from_rgb
from dctnet.models.receptive_field import receptive_fields
from dctnet.models.summary import summary
from dctnet.models.zoo import create_model
from dctnet.nn.band_limited import BandLimitedConv2d
from dctnet.nn.convert import convert
from dctnet.nn.planes import without_chroma
from dctnet.nn.winograd_layers import WinogradConv2d
from tests.networks import EVERY_NAME, side_for, small


@pytest.mark.parametrize("name", EVERY_NAME)
def test_totals_are_the_costs_and_the_rows_add_up(name):
    model = small(name)
    before = copy.deepcopy(model.state_dict())
    found = summary(model, side_for(name))
    assert found.parameters == parameters(model) == sum(stage.parameters for stage in found.stages)
    adds = multiply_adds(model, side_for(name), model.block_size)
    assert found.multiply_adds == adds == sum(stage.multiply_adds for stage in found.stages)
    assert all(len(stage.grids) == len(stage.receptive_field) for stage in found.stages)
    assert found.stages[-1].grids[-1].channels == 10 and found.stages[-1].grids[-1].size is None
    assert model.training and str(before) == str(model.state_dict())


# torchvision's networks as everybody computes them from kernels and strides; the stride of a bottleneck on its 3x3.
PIXELS = {"rgb_resnet18": (7, 11, 43, 99, 211, 435), "rgb_resnet50": (7, 11, 35, 91, 267, 427)}


@pytest.mark.parametrize("name", PIXELS)
def test_receptive_fields_of_torchvisions_resnets(name):
    stages = [stage for stage in summary(small(name)).stages if stage.name.startswith("resnet.")][:6]
    assert [stage.receptive_field for stage in stages] == [((side, side),) for side in PIXELS[name]]
    assert [stage.grids[0].size for stage in stages] == [(side, side) for side in (112, 56, 56, 28, 14, 7)]


def test_receptive_field_of_the_original_resnet50():
    """483 pixels, where the stride sits on the first 1x1 of a stage."""
    model = small("rgb_resnet50")
    for layer in (model.resnet.layer2, model.resnet.layer3, model.resnet.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    (stage,) = [stage for stage in summary(model).stages if stage.name.startswith("resnet.layer4")]
    assert stage.receptive_field == ((483, 483),)


def chain(start: int, *layers: tuple[int, int]) -> int:
    """The receptive field of kernels and strides after cells of ``start`` pixels."""
    field, step = start, start
    for kernel, stride in layers:
        field, step = field + (kernel - 1) * step, step * stride
    return field


def test_receptive_fields_of_two_streams():
    found = {stage.name: stage for stage in summary(create_model("late_concat", depth=50, width=0.25)).stages}
    three, shrink = 4 * [(3, 1)], [(1, 2), (3, 1)]
    assert found["luma.1-4"].receptive_field == ((chain(8, *three),) * 2,)
    assert found["chroma.0-1"].receptive_field == (
        (16, 16),
    )  # 1x1 convolutions on blocks of 8 samples, two pixels each
    body = chain(8, *three, *shrink, *5 * [(3, 1)], *shrink, *2 * [(3, 1)])
    assert found["body.5-7"].receptive_field == ((body, body),)
    assert [str(grid) for grid in found["body.5-7"].grids] == ["512 x 7 x 7"]
    assert found["fc"].receptive_field == (None,)


@pytest.mark.parametrize(("name", "stage"), [("late_concat_rfa", "body.0"), ("deconvolution_rfa", "body.3")])
def test_poison_reaches_as_far_as_the_receptive_field(name, stage):
    """A block of NaN beside the box leaves the middle of a stage alone, one in its corner does not."""
    model = small(name).double().eval()
    size = 384
    planes = blank(size)
    ((height, width),) = receptive_fields(model, [stage], planes, [(8, 8), (16, 16), (16, 16)])[stage]
    seen = {}
    dict(model.named_modules())[stage].register_forward_hook(lambda m, i, output: seen.update(output=output))
    reached = []
    for row in range(size // 8):
        y = torch.zeros_like(planes.y, dtype=torch.float64)
        y[0, 0, row] = torch.nan
        model(Coefficients(y, planes.cb, planes.cr))
        rows, columns = seen["output"].shape[2:]
        if seen["output"][0, :, rows // 2, columns // 2].isnan().any():
            reached.append(row)
    assert reached == list(range(reached[0], reached[-1] + 1))
    luma = 8 * len(reached)
    assert luma <= height == width <= luma + 16  # blocks of chroma are twice as large


def test_gates_pools_and_several_outputs():
    class Two(nn.Module):
        block_size = (1, 1)

        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(1, 4, 3, padding=1)
            self.pair = nn.ModuleList([nn.Conv2d(4, 2, (5, 1), padding=(2, 0)), nn.MaxPool2d(2)])
            self.both = Both()
            self.fc = nn.Linear(6, 3)

        def forward(self, coefficients):
            x = self.stem(coefficients.y).relu()
            fine, coarse = self.both(self.pair[0](x), self.pair[1](x))
            return self.fc(torch.cat([fine.mean((2, 3)), coarse.mean((2, 3))], 1))

    class Both(nn.Module):
        def forward(self, fine, coarse):
            return [fine, coarse * torch.sigmoid(coarse.mean((2, 3), keepdim=True))]

    found = {stage.name: stage for stage in summary(Two(), 32).stages}
    assert found["stem"].receptive_field == ((3, 3),)
    assert found["pair.0"].receptive_field == ((7, 3),)
    assert found["pair.1"].receptive_field == ((4, 4),)
    assert [tuple(grid) for grid in found["both"].grids] == [(2, (32, 32)), (4, (16, 16))]
    assert found["both"].receptive_field == ((7, 3), None)  # the gate has seen the whole picture
    assert found["fc"].multiply_adds == 18


def test_luma_alone_and_selected_bands_have_summaries():
    assert summary(small("late_concat", planes="y"), 64).stages[0].name == "luma.0"
    found = summary(small("selected_resnet50", bands=24), 128)
    assert found.stages[1].grids[0].channels == 24 and found.parameters == sum(s.parameters for s in found.stages)
    assert without_chroma(torch.zeros(1, 1, 3, 5), (1, 1)).cb.shape == (1, 1, 2, 3)


def test_a_table_and_plain_rows():
    from rich.console import Console

    found = dctnet.summary(small("late_concat"), (64, 96))
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(found.table())
    console.file.close()
    text = console.export_text()
    assert "64 x 96 pixels" in text and f"{found.parameters:,}" in text and "picture" in text
    row = found.rows()[0]
    assert row["name"] == "luma.0" and row["grids"] == [(64, (8, 12))] and row["receptive_field"] == [(8, 8)]


@pytest.mark.parametrize("compression, reached", [(0.0, 5), (0.5, None)])
def test_receptive_fields_of_convolutions_by_transforms(compression, reached):
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    convert(layers, "bandlimited", compression={"0": compression})
    convert(layers, "winograd", tile={"2": 4})
    network = from_rgb(layers, block_size=1)
    field = receptive_fields(network, ["model.2"], blank(32, 1), [(1, 1), (2, 2), (2, 2)])["model.2"]
    assert field == [None if reached is None else (reached, reached)]
    assert isinstance(network.model[0], BandLimitedConv2d) and isinstance(network.model[2], WinogradConv2d)
