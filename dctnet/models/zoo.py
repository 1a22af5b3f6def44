"""Networks by name: a plain dict from a name to the function that makes it, one for pictures and one for time series."""

from __future__ import annotations

import difflib
import inspect
from collections import ChainMap
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from dctnet.arguments import choice, whole
from dctnet.models.bandlimited import VGG16, LeNet, bandlimited, densenet121, resnet18
from dctnet.models.fcn import bandlimited_fcn, fcn
from dctnet.models.gated import GatedResNet
from dctnet.models.jpeg_resnet import jpeg_resnet
from dctnet.models.multigrid import MultigridNet
from dctnet.models.multigrid_resnet import MultigridResNet
from dctnet.models.rgb import rgb_resnet
from dctnet.models.selected import (
    gated_selected_mobilenet_v2,
    gated_selected_resnet50,
    selected_mobilenet_v2,
    selected_resnet50,
)
from dctnet.models.transform_resnet import TransformResNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    "upsampling": partial(jpeg_resnet, "upsampling"),
    "upsampling_rfa": partial(jpeg_resnet, "upsampling_rfa"),
    "deconvolution_rfa": partial(jpeg_resnet, "deconvolution_rfa"),
    "downsampling": partial(jpeg_resnet, "downsampling"),
    "late_concat": partial(jpeg_resnet, "late_concat"),
    "late_concat_rfa": partial(jpeg_resnet, "late_concat_rfa"),
    "late_concat_rfa_thinner": partial(jpeg_resnet, "late_concat_rfa_thinner"),
    "gated_upsampling": partial(GatedResNet, "upsampling"),
    "gated_late_concat": partial(GatedResNet, "late_concat"),
    "selected_resnet50": selected_resnet50,
    "selected_mobilenet_v2": selected_mobilenet_v2,
    "gated_selected_resnet50": gated_selected_resnet50,
    "gated_selected_mobilenet_v2": gated_selected_mobilenet_v2,
    "learned_dct": partial(TransformResNet, "learned_dct"),
    "orthonormal_dct": partial(TransformResNet, "orthonormal_dct"),
    "frozen_dct": partial(TransformResNet, "frozen_dct"),
    "frozen_dct_x2": partial(TransformResNet, "frozen_dct_x2"),
    "multigrid_resnet18": partial(MultigridResNet, 18),
    "multigrid_resnet34": partial(MultigridResNet, 34),
    "multigrid_resnet50": partial(MultigridResNet, 50),
    "mg_6": partial(MultigridNet, 1, False, False),
    "mg_11": partial(MultigridNet, 2, False, False),
    "mg_16": partial(MultigridNet, 3, False, False),
    "mg_21": partial(MultigridNet, 4, False, False),
    "r_mg_12": partial(MultigridNet, 1, True, False),
    "r_mg_22": partial(MultigridNet, 2, True, False),
    "r_mg_32": partial(MultigridNet, 3, True, False),
    "r_mg_42": partial(MultigridNet, 4, True, False),
    "r_mg_34_imagenet": partial(MultigridNet, (3, 4, 6, 3), True, False),
    "pr_mg_16": partial(MultigridNet, 1, True, True),
    "pr_mg_30": partial(MultigridNet, 2, True, True),
    "pr_mg_44": partial(MultigridNet, 3, True, True),
    "rgb_resnet18": partial(rgb_resnet, 18),
    "rgb_resnet34": partial(rgb_resnet, 34),
    "rgb_resnet50": partial(rgb_resnet, 50),
    "bandlimited_resnet18": partial(bandlimited, resnet18),
    "bandlimited_densenet121": partial(bandlimited, densenet121),
    "bandlimited_vgg16": partial(bandlimited, VGG16),
    "bandlimited_lenet": partial(bandlimited, LeNet),
}

SERIES_MODELS: dict[str, Callable[..., nn.Module]] = {
    "fcn": fcn,
    "bandlimited_fcn": bandlimited_fcn,
}

# A view of both, pictures first, so that what is added to one of them is known by its name.
KINDS = {"pictures": MODELS, "series": SERIES_MODELS, "all": ChainMap(SERIES_MODELS, MODELS)}


def list_models(kind: str = "pictures") -> list[str]:
    """The names that ``create_model`` knows: of networks on "pictures" (Coefficients), on time "series", or "all".

    >>> "late_concat_rfa_thinner" in list_models(), list_models("series")
    (True, ['fcn', 'bandlimited_fcn'])
    """
    return list(KINDS[choice("kind", kind, KINDS)])


def options_of(name: str) -> list[str]:
    """The options that ``create_model(name, ...)`` takes besides ``num_classes``; ValueError for a name of no network.

    >>> options_of("gated_late_concat")
    ['depth', 'block_size', 'width', 'zero_init_residual', 'gate_weight', 'temperature']
    """
    known = KINDS["all"]
    if not isinstance(name, str) or name not in known:
        close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4)
        near = f"did you mean {' or '.join(close)}? " if close else ""
        raise ValueError(f"there is no network {name!r}; {near}The names are {', '.join(known)}.")
    return [option for option in inspect.signature(known[name]).parameters if option != "num_classes"]


def create_model(name: str, num_classes: int = 1000, **options: Any) -> nn.Module:
    """The network called ``name``, with random weights: ``logits = model(coefficients)``, or ``model(series)``.

    ``options_of(name)`` lists its options, and the function in ``MODELS`` or ``SERIES_MODELS`` says what they mean. One name
    means one thing everywhere:

    - ``block_size``: of the planes that it reads, 1, 2, 4, 8, 16 or 32, or a pair (luma, chroma);
    - ``bands``: those that ``SelectBands`` keeps of blocks of 8, in any form of ``dctnet.bands``; None for all;
    - ``planes``: "ycc", or "y" to read luma alone. The input is Coefficients all the same, and its chroma is not looked at.
      Networks on coefficients lose the layers that read chroma, pixel networks see the gray picture;
    - ``width``: multiplies the channels of the layers; ``depth``: 18, 34 or 50, whose stages it has;
    - ``zero_init_residual``: each residual block starts as its shortcut;
    - ``channels``: of the series ``(n, channels, length)`` that it reads;
    - ``compression``: share of the spectrum that its convolutions drop.

    ValueError for a name or an option that does not exist, and for block sizes that the network cannot take.

    >>> model = create_model("late_concat", num_classes=10, depth=18, block_size=4, width=0.5, planes="y")
    >>> model.block_size
    (4, 4)
    """
    known = options_of(name)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(unknown)}; its options are {', '.join(known)}")
    return KINDS["all"][name](num_classes=whole("num_classes", num_classes, 1), **options)
