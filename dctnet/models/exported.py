"""A network as a graph: for ``torch.export`` and ONNX, with the planes of Coefficients as three inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram

from dctnet.coefficients import Coefficients, block_sizes
from dctnet.models.cost import blank, check_reads_pictures
from dctnet.transforms.frequency import select_bands

INPUTS = ("y", "cb", "cr")


class OfPlanes(nn.Module):
    """``network`` as a function of three tensors: logits from y, cb, cr."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
        return self.network(Coefficients(y, cb, cr))


def example(network: nn.Module, size: int | tuple[int, int], n: int = 2) -> Coefficients:
    """n gray pictures of ``size`` pixels in the planes that the network reads (``block_size``, ``bands``), float32."""
    planes, bands = blank(size, block_sizes(getattr(network, "block_size", 8)), n=n), getattr(network, "bands", None)
    return planes if bands is None else select_bands(planes, bands)


def exported(network: nn.Module, size: int | tuple[int, int] = 224, larger: bool = False) -> ExportedProgram:
    """``torch.export`` of the network in evaluation mode, for pictures of ``size`` pixels in batches of any number.

    The program takes y, cb and cr; a network of luma alone takes them too and does not look at the last two. With ``larger``
    it also takes larger pictures, up to 16 times each side, whose Y grid is a multiple of ``network.multiple`` and in the same
    ratio to the chroma grid; that needs a network that asks for no more than this.
    """
    check_reads_pictures(network)
    planes = example(network, size)
    shapes: dict[str, dict[int, object]] = {name: {0: Dim("batch", min=1, max=2**16)} for name in INPUTS}
    if larger:
        for axis, name in ((2, "rows"), (3, "columns")):
            luma, chroma = planes.y.shape[axis], planes.cb.shape[axis]
            step = getattr(network, "multiple", 1)
            unit = math.gcd(luma, chroma)
            unit = unit // step if luma == chroma and unit % step == 0 else unit
            side = Dim(name, min=unit, max=16 * unit)
            for plane, length in (("y", luma), ("cb", chroma), ("cr", chroma)):
                shapes[plane][axis] = side if length == unit else length // unit * side
    try:
        with torch.no_grad():
            return torch.export.export(OfPlanes(network).eval(), tuple(planes), dynamic_shapes=shapes, strict=False)
    except (UserError, RuntimeError) as error:
        if not larger:
            raise
        raise ValueError(
            f"this network cannot be exported for pictures larger than {size} pixels, as its layers ask for more than torch can "
            f"say of their sizes ({str(error).strip().splitlines()[0]}). Export it for one size, without larger (--larger), or "
            "at a larger size, if its last grid has a side of one sample."
        ) from error


def onnx_bytes(
    network: nn.Module, size: int | tuple[int, int] = 224, larger: bool = False, about: Mapping[str, str] | None = None
) -> bytes:
    """An ONNX file of ``exported(network, size, larger)``: inputs y, cb, cr, output logits, ``about`` as its metadata.

    ValueError where the packages that write it are not installed.
    """
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise ValueError("ONNX files are written by the packages onnx and onnxscript: pip install 'dctnet[onnx]'")
    program = torch.onnx.export(
        exported(network, size, larger), dynamo=True, input_names=list(INPUTS), output_names=["logits"], verbose=False
    )
    program.model.metadata_props.update(about or {})
    return program.model_proto.SerializeToString()
