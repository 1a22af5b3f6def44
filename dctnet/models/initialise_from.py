"""The weights of a trained RGB ResNet as the start of a network on coefficients.

The networks of ``jpeg_resnet`` are stages 3 to 5 of a ResNet, more or less, behind other first layers. So the blocks of both are
put side by side from the last one on, and each convolution is taken, with its BatchNorm, that has the same shape:

    upsampling       stages 3 to 5 but for the first convolution and shortcut, which read coefficients
    late_concat      the same of luma's stream (stage 3) and of the body (4 and 5); at depth 50 the first block of stage 4,
                     which has become the merge, gives its first two convolutions
    fc               where the number of classes is the same

torchvision's Bottleneck has its stride on the 3x3 convolution, ours has it on the 1x1 before. The shapes do not tell, and the
weights are taken: in the first block of a stage the 3x3 then sees a grid twice as coarse as it was trained on. So this is a
start, not the same function. Basic blocks (depth 18 and 34) have their stride in one place in both.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from torch import nn

from dctnet.models.blocks import BasicBlock, Bottleneck
from dctnet.models.jpeg_resnet import JPEGResNet


class Taken(NamedTuple):
    """Names in the network's state dict: what was taken from the ResNet, and what stayed."""

    taken: list[str]
    left: list[str]


def initialise_from(network: JPEGResNet, resnet: nn.Module) -> Taken:
    """Gives ``network`` of ``jpeg_resnet`` the weights of ``resnet``, a ``torchvision.models.ResNet``, where they fit.

    ValueError for other kinds of networks, and for a ResNet of another kind of block (18 and 34 beside 50).

    >>> import torchvision
    >>> from dctnet.models.jpeg_resnet import jpeg_resnet
    >>> network = jpeg_resnet("upsampling", num_classes=10, depth=18)
    >>> taken, left = initialise_from(network, torchvision.models.resnet18(num_classes=10))
    >>> [name for name in left if name.endswith("0.weight")]
    ['body.0.weight', 'body.1.residual.0.weight', 'body.1.shortcut.0.weight']
    """
    stages = [getattr(resnet, f"layer{number}", None) for number in (1, 2, 3, 4)]
    if not isinstance(network, JPEGResNet) or not all(isinstance(stage, nn.Sequential) for stage in stages):
        raise ValueError(
            "initialise_from takes a network of jpeg_resnet and a ResNet with the stages layer1 to layer4, as torchvision's; "
            f"got {type(network).__name__} and {type(resnet).__name__}"
        )
    ours = [block for block in chain(network.luma, network.body) if isinstance(block, (Bottleneck, BasicBlock))]
    blocks = list(chain(*stages))
    if hasattr(blocks[-1], "conv3") != isinstance(ours[-1], Bottleneck):
        raise ValueError(
            f"the network has blocks of {type(ours[-1]).__name__}, the ResNet of {type(blocks[-1]).__name__}; make the network "
            "with the depth of the ResNet"
        )
    groups = [((network.fc,), (resnet.fc,))]
    for block, theirs in zip(reversed(ours), reversed(blocks), strict=False):
        groups += zip(_layers(block), _layers(theirs), strict=False)
    # What reads coefficients has nothing to learn from what reads features, even where the shapes agree.
    first = {*ours[0].shortcut.modules(), _layers(ours[0])[0][0]}
    groups = [group for group in groups if group[0][0] not in first]
    names = {module: name for name, module in network.named_modules()}
    taken = set()
    for mine, others in groups:
        if mine[0].weight.shape == others[0].weight.shape:
            for layer, other in zip(mine, others, strict=True):
                layer.load_state_dict(other.state_dict())
                taken |= {f"{names[layer]}.{key}" for key in layer.state_dict()}
    every = list(network.state_dict())
    return Taken([name for name in every if name in taken], [name for name in every if name not in taken])


def _layers(block: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """The convolutions of a block of ours or of torchvision's, each with its BatchNorm; that of the shortcut comes last."""
    layers = [module for module in block.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    return list(zip(layers[::2], layers[1::2], strict=True))
