"""The multigrid ResNets: their grids, who sees which plane, and counts against torchvision's ResNets."""

import pytest
import torch
import torchvision
import yaml
from torch import nn

from dctnet.coefficients import Coefficients
from dctnet.models.blocks import BasicBlock, Bottleneck
from dctnet.models.cost import blank, multiply_adds, parameters
from dctnet.models.multigrid_resnet import MultigridResNet
from dctnet.models.zoo import create_model
from dctnet.nn.exchange import EXCHANGES, PlaneExchange
from dctnet.nn.grids import KINDS
from dctnet.packaged import packaged_file
from tests.networks import pictures

SMALL = {"num_classes": 10, "width": 0.125}
EVERY_SIZE = [1, 2, 4, 8, 16, 32, (2, 1), (4, 2), (8, 4), (16, 8), (32, 16), (8, 2), (4, 8)]


def network(depth=18, **options):
    torch.manual_seed(0)
    return MultigridResNet(depth, **{**SMALL, **options})


def grids(model, planes):
    """Sides of the maps behind each stage, one list a path, and those of the body."""
    found = [[] for _ in [*model.paths, model.body]]
    for path, sizes in zip([*model.paths, model.body], found, strict=True):
        for stage in path.stages:
            stage[-1].register_forward_hook(lambda _, __, out, sizes=sizes: sizes.append(out.shape[-1]))
    model(planes)
    return found


@pytest.mark.parametrize(
    ("size", "block_size", "options", "luma", "chroma", "body"),
    [
        (224, 4, {}, [56, 28], [28, 28], [14, 7]),
        (224, (4, 2), {}, [56, 28], [56, 28], [14, 7]),
        (224, 8, {}, [28, 28], [14, 14], [14, 7]),
        (224, 1, {}, [56, 28], [56, 28], [14, 7]),
        (32, 2, {"stem": "cifar"}, [16, 16], [8, 8], [8, 4]),
        (32, 1, {"stem": "cifar"}, [32, 16], [16, 16], [8, 4]),
        (32, 4, {"stem": "cifar"}, [8, 8], [4, 4], [8, 4]),  # chroma grows to the grid of luma
        (224, 4, {"merge": 3}, [56], [28], [28, 14, 7]),
        (224, 4, {"merge": 5}, [56, 28, 14], [28, 28, 14], [7]),
        (224, 4, {"pooling": ("max", "dct")}, [56, 28], [28, 28], [14, 7]),
        (224, 16, {}, [14, 14], [7, 7], [14, 7]),
    ],
    ids=str,
)
def test_a_stage_runs_on_the_grid_of_the_pixel_network_or_of_its_plane(size, block_size, options, luma, chroma, body):
    model = network(block_size=block_size, **options).eval()
    assert grids(model, blank(size, block_size)) == [luma, chroma, body]


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_luma_at_block_size_one_is_torchvisions_resnet_with_another_stem(depth):
    """The same stages: those of the multigrid network have projections where channels stay, and Y alone comes in."""
    ours = network(depth, width=1.0, num_classes=1000, block_size=1, planes="y", path_width=1.0, stem="cifar")
    theirs = getattr(torchvision.models, f"resnet{depth}")()
    layers = parameters(ours.paths[0]) + parameters(ours.body)
    outputs = 64 if depth < 50 else 256
    projection = 64 * 64 + 2 * 64 if depth < 50 else 0  # torchvision's first block has one at depth 50, too
    assert layers == sum(parameters(getattr(theirs, f"layer{i}")) for i in (1, 2, 3, 4)) + projection
    assert parameters(ours.stems) == 2 * 1 + 9 * 64 + 2 * 64 and parameters(ours.fc) == parameters(theirs.fc)
    assert ours.paths[0].channels[1] == outputs
    kind = Bottleneck if depth == 50 else BasicBlock
    assert sum(isinstance(module, kind) for module in ours.modules()) == {18: 8, 34: 16, 50: 16}[depth]


@pytest.mark.parametrize("block_size", EVERY_SIZE, ids=str)
def test_every_block_size_is_read_and_every_plane_matters(block_size):
    model = network(block_size=block_size, exchange="none" if block_size == (8, 2) else "both").eval()
    planes = pictures(block_size, side=128)
    logits = model(planes)
    assert logits.shape == (2, 10) and torch.isfinite(logits).all()
    for index in range(3):
        changed = Coefficients(*(plane.flip(0) if i == index else plane for i, plane in enumerate(planes)))
        assert not torch.allclose(model(changed), logits, rtol=1e-3)


def test_paths_that_stay_apart_are_a_sum_of_two_networks():
    model = network(merge=None).eval()
    y, cb, cr = pictures(8, side=128)
    zero = torch.zeros_like
    both, none = model(Coefficients(y, cb, cr)), model(Coefficients(zero(y), zero(cb), zero(cr)))
    luma, chroma = model(Coefficients(y, zero(cb), zero(cr))), model(Coefficients(zero(y), cb, cr))
    torch.testing.assert_close(both - none, (luma - none) + (chroma - none), rtol=1e-3, atol=1e-4)
    assert (both - luma).abs().max() > 1e-3


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("every", ["stage", "layer"])
def test_an_exchange_stands_where_it_is_asked_for(exchange, every):
    model = network(34, exchange=exchange, every=every, merge=5).eval()
    layers = [module for module in model.modules() if isinstance(module, PlaneExchange)]
    assert len(layers) == (0 if exchange == "none" else 3 if every == "stage" else 3 + 4 + 6)
    y, cb, cr = pictures(8, side=128).map(lambda plane: plane.requires_grad_())
    heard = []
    for path, plane in zip(model.paths, (cb, y), strict=True):
        ends = []
        hook = model.joints[list(model.paths).index(path)].register_forward_hook(
            lambda _, x, __, ends=ends: ends.append(x[0])
        )
        model(Coefficients(y, cb, cr))
        hook.remove()
        (gradient,) = torch.autograd.grad(ends[0].square().sum(), plane, allow_unused=True)
        heard.append(gradient is not None and bool(gradient.abs().max() > 0))
    down, up = exchange in ("luma_to_chroma", "both", "gated"), exchange in ("chroma_to_luma", "both", "gated")
    assert heard == [up, down]  # luma hears chroma, chroma hears luma


@pytest.mark.parametrize("pooling", KINDS)
@pytest.mark.parametrize("resample", KINDS)
def test_every_kind_of_pooling_runs_and_learns(pooling, resample):
    model = network(pooling=pooling, resample=resample, exchange="both", every="layer", block_size=4)
    planes = pictures(4, side=64)
    model(planes).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in model.parameters())


def test_more_grids_read_the_truncated_planes_and_take_part():
    model = network(grids=4, pyramid="both", exchange="both", block_size=4).eval()
    assert model.spacings[0] == (4, 8, 16, 32)
    planes = pictures(4, side=128).map(lambda plane: plane.requires_grad_())
    assert [layers[0].num_features for layers in model.stems] == [16 + 2 * 16, 2 * 16 + 16, 48, 48]
    model(planes).square().sum().backward()
    assert all(plane.grad.abs().amax((0, 2, 3)).min() > 0 for plane in planes)


def test_luma_alone_does_not_look_at_chroma():
    model = network(planes="y").eval()
    planes = pictures(8, side=128)
    assert torch.equal(model(planes), model(planes._replace(cb=planes.cb + 100, cr=planes.cr[..., :1])))
    assert len(model.paths) == 1 and parameters(model) < parameters(network())


def test_options_of_each_path():
    model = network(path_width=(1.0, 0.5), width=0.5, path_blocks=[[2, 3], [0, 1]], body_blocks=[1, 2], kernel=(3, 1))
    luma, chroma = model.paths
    assert [len(stage) for stage in luma.stages] == [2, 3] and [len(stage) for stage in chroma.stages] == [0, 1]
    assert [len(stage) for stage in model.body.stages] == [1, 2]
    assert luma.channels == [32, 32, 64] and chroma.channels == [16, 16, 32]
    sizes = {module.kernel_size for module in chroma.modules() if isinstance(module, nn.Conv2d)}
    assert sizes == {(1, 1)} and (3, 3) in {m.kernel_size for m in luma.modules() if isinstance(m, nn.Conv2d)}
    planes = pictures(8, side=128)
    assert model(planes).shape == (2, 10)


def test_selected_bands_make_the_stems_thinner_and_nothing_else():
    whole, chosen = network(), network(bands=24)
    y, c = [layers[0].num_features for layers in chosen.stems]
    assert (y, c) == (16, 8)
    stems = [parameters(model.stems) for model in (whole, chosen)]
    assert parameters(whole) - parameters(chosen) == stems[0] - stems[1] > 0


def test_zero_initialised_residuals_make_every_exchange_the_identity():
    model = network(exchange="both", every="layer", zero_init_residual=True).eval()
    plain = network(zero_init_residual=True).eval()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if "exchanges" not in key})
    planes = pictures(8, side=128)
    torch.testing.assert_close(model(planes), plain(planes))


def test_published_names_and_the_budget_of_the_recipe():
    """The JPEG-native ResNet-50 of models/imagenet_multigrid_resnet50.yaml stays below 2.0 G multiply-adds."""
    recipe = yaml.safe_load(packaged_file("configs", "imagenet_multigrid_resnet50").read_text())
    model = create_model(
        recipe["model"]["network"], block_size=recipe["data"]["block_size"], **recipe["model"]["options"]
    )
    assert multiply_adds(model, 224, model.block_size) <= 2.0e9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"merge": 1}, "merge is one of None, 2, 3, 4, 5; got 1"),
        ({"exchange": "some"}, "exchange is one of 'none'"),
        ({"every": "block"}, "every is one of"),
        ({"merge": 2, "exchange": "both"}, "there are none; got merge=2"),
        ({"merge": 2, "exchange": "nonsense"}, "exchange is one of"),
        ({"resample": "nonsense"}, "resample is one of"),
        ({"merge": None, "body_blocks": [1]}, "with merge=None there are none"),
        ({"body_blocks": [[1, 1], [2, 2]]}, "body_blocks is one list"),
        ({"body_blocks": 2}, "body_blocks is a list"),
        ({"planes": "y", "exchange": "gated"}, "one grid, and nothing to exchange"),
        ({"merge": 4.0}, "merge is one of None, 2, 3, 4, 5; got 4.0"),
        ({"planes": "y", "grids": 4}, "one grid, that of luma"),
        ({"path_width": (1, 0.5, 0.2)}, r"one value, or two: \(luma, chroma\)"),
        ({"width": "wide"}, "width is a finite number"),
        ({"zero_init_residual": "false"}, "zero_init_residual is True or False"),
        ({"pooling": "mean"}, "pooling is one of 'max'"),
        ({"depth": 101}, "depth is one of"),
        ({"stem": "tiny"}, "stem is one of"),
        ({"planes": "rgb"}, "planes is"),
        ({"planes": "y", "pyramid": "both"}, "reads luma alone, which has no pyramid"),
        ({"bands": 24, "pyramid": "both"}, "a pyramid wants all of them"),
        ({"bands": 24, "block_size": 4}, "bands are selected from blocks of 8"),
        ({"path_blocks": [1]}, r"one number for each of 2 stages; got \[1\]"),
        ({"path_blocks": [1, -1]}, "path_blocks"),
        ({"body_blocks": [0, 1]}, "body_blocks"),
        ({"block_size": (8, 2), "exchange": "both"}, "between a grid and a coarser one.*Give chroma larger blocks"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        network(**{"depth": 18, **options})


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        (blank(72), r"multiples of 16 pixels; got grids of Y \(9, 9\) and chroma \(5, 5\)"),
        (pictures(8, full_chroma=True), r"4:2:0 planes.*got grids of Y \(8, 8\) and chroma \(8, 8\)"),
        (pictures(4), "reads block size 8"),
    ],
)
def test_planes_that_do_not_fit_are_refused(planes, message):
    with pytest.raises(ValueError, match=message):
        network()(planes)
