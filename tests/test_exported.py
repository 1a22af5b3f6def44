"""Every network as a compiled one, as a graph of torch.export, and as an ONNX file that onnxruntime runs."""

import io

import onnx
import onnxruntime
import pytest
import torch

from dctnet.models.exported import INPUTS, OfPlanes, example, exported, onnx_bytes
from dctnet.models.fold_stem import fold_stem
from dctnet.models.from_rgb import from_rgb
from dctnet.models.zoo import list_models
from tests.networks import pictures, side_for, small

# One of each kind of network; the others are built of the same parts, and are run too where there are minutes for it.
KINDS = list({type(small(name)): name for name in reversed(list_models())}.values())
NAMES = [name if name in KINDS else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
# A ResNet-50 takes a quarter of a minute, whatever its width: its graph is long.
SHORT = [
    pytest.param(name, marks=pytest.mark.slow) if isinstance(name, str) and "selected" in name else name
    for name in NAMES
]


def trained(name: str, **options) -> torch.nn.Module:
    """A small network whose statistics are those of the pictures, so that its logits are of the order of one."""
    model = small(name, **options)
    with torch.no_grad():
        for seed in range(20):
            model(pictures(side=side_for(name), n=4, seed=seed))
    return model.eval().requires_grad_(False)


def run(data: bytes, planes) -> torch.Tensor:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    taken = [given.name for given in session.get_inputs()]
    (logits,) = session.run(None, {name: getattr(planes, name).numpy() for name in taken})
    return torch.from_numpy(logits)


@pytest.mark.parametrize("name", SHORT)
def test_exported_networks_give_the_same_logits_for_any_batch(name):
    model, side = trained(name), side_for(name)
    program = exported(model, side)
    data = onnx_bytes(model, side, about={"classes": "ten"})
    onnx.checker.check_model(onnx.load_from_string(data))
    for n in (1, 5):
        planes = pictures(side=side, n=n, seed=9)
        logits = model(planes)
        torch.testing.assert_close(program.module()(*planes), logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(run(data, planes), logits, rtol=1e-4, atol=1e-4)
    assert onnx.load_from_string(data).metadata_props[0].value == "ten"


WHOLE = [name for name in NAMES if "bandlimited" not in str(name)]  # whose convolutions stay what they are


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_network_compiles_without_a_break(name):
    model = trained(name)
    planes = pictures(side=side_for(name), seed=9)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(planes), model(planes), rtol=1e-4, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.parametrize("compression", [0.0, 0.5])
def test_band_limited_networks_compile_around_their_convolutions_and_export_them(compression):
    model = trained("bandlimited_lenet", compression=compression)
    planes = pictures(seed=9)
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(planes), model(planes), rtol=1e-4, atol=1e-4)
    torch.compiler.reset()
    session = onnxruntime.InferenceSession(onnx_bytes(model, 64))
    more = pictures(n=3, seed=4)
    (logits,) = session.run(None, {name: plane.numpy() for name, plane in zip(INPUTS, more, strict=True)})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), model(more), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["upsampling", "multigrid_resnet18", "rgb_resnet18"])  # minutes each on two cores
def test_inductor_trains_the_same_network(name):
    planes = pictures(side=side_for(name), seed=9)
    gradients = []
    for compile in (False, True):
        model = small(name)
        if hasattr(model, "gate"):
            model.eval()  # gates are drawn in training
        runner = torch.compile(model, fullgraph=True) if compile else model
        runner(planes).logsumexp(1).sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        torch.compiler.reset()
    assert len(gradients[0]) == len(gradients[1])
    for plain, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-2, atol=1e-3 * float(plain.abs().max()) + 1e-6)


def test_one_graph_takes_larger_pictures():
    model = trained("late_concat")
    program = exported(model, 64, larger=True)
    for height, width in ((64, 64), (96, 64), (160, 224)):
        planes = pictures(side=224)._replace(
            **{
                name: getattr(pictures(side=224), name)[..., : height // step, : width // step]
                for name, step in zip(INPUTS, (8, 16, 16), strict=True)
            }
        )
        torch.testing.assert_close(program.module()(*planes), model(planes), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"pooling": "spectral"}, {"exchange": "both", "resample": "dct"}], ids=str)
def test_poolings_by_spectra_are_exported(options):
    model = trained("multigrid_resnet18", **options)
    planes = pictures(n=3, seed=9)
    torch.testing.assert_close(run(onnx_bytes(model, 64), planes), model(planes), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rounded", [True, False])
def test_any_network_behind_its_pixels_is_compiled_and_exported(rounded):
    torch.manual_seed(0)
    body = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    model, planes = from_rgb(body, rounded=rounded).eval(), pictures(n=3)
    for network in (model, fold_stem(model)):
        truth = network(planes)
        torch.testing.assert_close(exported(network, 64).module()(*planes), truth, rtol=1e-4, atol=1e-4)
        compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(planes), truth, rtol=1e-4, atol=1e-4)
        torch.compiler.reset()


def test_what_asks_for_one_size_is_not_exported_for_larger_ones():
    with pytest.raises(ValueError, match=r"cannot be exported for pictures larger than 32 pixels.*without larger"):
        exported(small("r_mg_12").eval(), 32, larger=True)


def test_luma_alone_and_selected_bands_are_exported():
    for name, options in (("late_concat", {"planes": "y"}), ("selected_resnet50", {"bands": 24})):
        model = small(name, **options).eval()
        planes = example(model, 128, n=2).map(torch.randn_like)
        program = exported(model, 128)
        torch.testing.assert_close(program.module()(*planes), OfPlanes(model)(*planes), rtol=1e-4, atol=1e-4)


def test_without_onnx_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("dctnet.models.exported.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'dctnet\[onnx\]'"):
        onnx_bytes(small("late_concat"))


def test_programs_survive_a_file():
    model = trained("late_concat")
    file = io.BytesIO()
    torch.export.save(exported(model, 64), file)
    file.seek(0)
    planes = pictures(n=3)
    torch.testing.assert_close(torch.export.load(file).module()(*planes), model(planes), rtol=1e-4, atol=1e-4)
