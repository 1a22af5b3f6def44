"""compressed_activations against torch's own gradients, and counted bytes against the sizes of what is saved."""

import json
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from dctnet.benchmarks.activations import pictures
from dctnet.cli import main
from dctnet.dct import block_idct
from dctnet.models.zoo import create_model
from dctnet.nn.compressed_activations import compressed_activations
from dctnet.nn.dct_compress import DCTCompress


def network(**options):
    torch.manual_seed(0)
    return create_model("rgb_resnet18", 10, width=0.25, stem="cifar", **options).train()


def batch(n=8, size=32):
    planes = pictures((8, 8), n, size, None)
    return planes, torch.arange(n) % 10


def gradient(model, planes, classes, *packing):
    """(the gradient of all weights in float64, the loss, what was saved)."""
    model.zero_grad()
    saved = None
    if packing:
        with compressed_activations(model, *packing) as saved:
            loss = F.cross_entropy(model(planes), classes)
    else:
        loss = F.cross_entropy(model(planes), classes)
    loss.backward()
    return torch.cat([p.grad.double().flatten() for p in model.parameters()]), loss.item(), saved


def error(one, other):
    return float((one - other).norm() / other.norm())


def test_all_bands_in_float32_give_the_gradients_to_rounding():
    model, (planes, classes) = network(), batch()
    exact, loss, _ = gradient(model, planes, classes)
    ours, same, _ = gradient(model, planes, classes, 1.0, "float32")
    assert same == loss and error(ours, exact) < 1e-5


def test_bytes_and_errors_fall_in_order():
    """Fewer bits and fewer bands: less memory, a worse gradient, whose direction still is right."""
    model, (planes, classes) = network(), batch()
    exact, loss, _ = gradient(model, planes, classes)
    for form, tolerance, share in (("bf16", 0.01, 0.55), ("int8", 0.03, 0.35), ("int4", 0.3, 0.25)):
        errors, kept = [], []
        for keep in (1.0, 0.5, 0.1):
            ours, same, saved = gradient(model, planes, classes, keep, form)
            assert same == loss  # the forward pass is untouched
            assert F.cosine_similarity(ours, exact, 0) > 0.5
            errors.append(error(ours, exact))
            kept.append(saved.kept / saved.exact)
        assert errors[0] < tolerance and errors == sorted(errors)
        assert kept[0] < share and kept == sorted(kept, reverse=True)


class Chain(nn.Module):
    """Convolution, BatchNorm, ReLU, convolution: saves the input, one map before and one behind the norm."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm, self.last = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        return self.last(F.relu(self.norm(self.first(x))))


def test_bytes_are_those_of_the_packed_maps_and_a_shared_map_counts_once():
    model, x = Chain(), torch.randn(4, 3, 16, 24)
    with compressed_activations(model, 0.25, "bf16") as saved:
        loss = model(x).square().mean()
    map_bytes, in_bytes, out_bytes = (4 * 4 * c * 16 * 24 for c in (8, 3, 4))
    statistics = 2 * 8 * 4
    assert saved.exact == in_bytes + 2 * map_bytes + out_bytes + statistics
    # A quarter of the numbers in half the bytes; one bit a sample for what is behind the ReLU.
    assert saved.kept == (in_bytes + 2 * map_bytes + out_bytes) / 8 + map_bytes / 32 + statistics
    loss.backward()


@pytest.mark.parametrize("form", ["bf16", "int8", "int4"])
def test_a_relu_stops_the_gradient_exactly_where_it_should(form):
    x = torch.randn(4, 8, 16, 16, requires_grad=True)
    g = torch.randn(4, 8, 16, 16)
    with compressed_activations(nn.ReLU(), 0.1, form):
        y = F.relu(x)
    y.backward(g)
    assert torch.equal(x.grad, g * (x > 0))


def test_what_a_max_pool_saves_is_exact():
    x = torch.randn(4, 8, 32, 32, requires_grad=True)
    with compressed_activations(nn.MaxPool2d(2), 0.1) as saved:
        y = F.max_pool2d(x, 2)
    g = torch.randn_like(y)
    (ours,) = torch.autograd.grad(y, x, g)
    (theirs,) = torch.autograd.grad(F.max_pool2d(x, 2), x, g)
    assert torch.equal(ours, theirs)
    assert saved.kept < 0.1 * x.nbytes + 2 * y.numel() + 5000  # indices as int16


def test_the_gradient_of_a_convolution_is_that_of_its_truncated_input():
    conv, x = nn.Conv2d(8, 4, 3, padding=1), torch.randn(4, 8, 16, 16)
    g = torch.randn(4, 4, 16, 16)
    with compressed_activations(conv, 0.5, "float32"):
        y = conv(x)
    y.backward(g)
    (truth,) = torch.autograd.grad(conv(DCTCompress(0.5)(x)), conv.weight, g)
    torch.testing.assert_close(conv.weight.grad, truth, rtol=1e-4, atol=1e-4)


def test_maps_below_zero_everywhere_and_of_zeros_survive():
    x = torch.stack([torch.zeros(8, 16, 16), -1 - torch.rand(8, 16, 16)]).repeat(4, 1, 1, 1)
    for part in (x, x[::2], x[1::2]):
        conv = nn.Conv2d(8, 4, 3)
        with compressed_activations(conv, 1.0, "int8"):
            y = conv(part)
        (ours,) = torch.autograd.grad(y.sum(), conv.weight)
        (theirs,) = torch.autograd.grad(conv(part).sum(), conv.weight)
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=1e-3)


def test_what_is_not_finite_is_seen():
    conv, x = nn.Conv2d(4, 4, 3), torch.randn(4, 4, 32, 32)
    x[1, 2, 3, 4] = torch.inf
    with compressed_activations(conv, 0.5, "int8"):
        y = conv(x)
    y.sum().backward()
    assert not conv.weight.grad[:, 2].isfinite().any()


def test_channels_last_and_odd_sizes():
    model = network()
    planes, classes = batch(3, 40)
    for scale in (torch.contiguous_format, torch.channels_last):
        model.to(memory_format=scale)
        exact, *_ = gradient(model, planes, classes)
        ours, *_ = gradient(model, planes, classes, 1.0, "float32")
        assert error(ours, exact) < 1e-5


def test_autocast():
    """Weights that autocast converted are saved as they are: they have the shape of parameters."""
    model, (planes, classes) = network(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        exact, _, _ = gradient(model, planes, classes)
        ours, _, saved = gradient(model, planes, classes, 1.0, "int8")
    assert error(ours, exact) < 0.1
    assert saved.kept < 0.75 * saved.exact


class Checkpointed(nn.Module):
    def __init__(self, inner, reentrant):
        super().__init__()
        self.inner, self.reentrant = inner, reentrant

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_regions_are_computed_again_from_their_truncated_input(reentrant):
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    model = Checkpointed(inner, reentrant)
    x = torch.randn(4, 4, 32, 32, requires_grad=True)
    for keep in (1.0, 0.5):
        with compressed_activations(model, keep, "float32") as saved:
            y = model(x)
        model.zero_grad()
        x.grad = None
        y.backward(2 * y.detach())  # a reentrant checkpoint knows no torch.autograd.grad
        ours = [x.grad, *(p.grad for p in model.parameters())]
        again = DCTCompress(keep)(x.detach()).requires_grad_()
        theirs = torch.autograd.grad(inner(again), [again, *model.parameters()], 2 * y.detach())
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        assert saved.exact == x.nbytes and saved.kept == keep * x.nbytes  # the region's input, and nothing in it


def test_nested_the_inner_one_counts_and_an_error_leaves_nothing_behind():
    model, (planes, classes) = network(), batch()
    exact, *_ = gradient(model, planes, classes)
    with compressed_activations(model, 0.1) as outer:
        ours, _, inner = gradient(model, planes, classes, 1.0, "float32")
    assert error(ours, exact) < 1e-5 and outer.exact == 0 < inner.exact
    with pytest.raises(RuntimeError, match="stop"), compressed_activations(model, 0.1):
        raise RuntimeError("stop")
    again, *_ = gradient(model, planes, classes)
    assert torch.equal(again, exact)


def test_many_steps_in_one_context_keep_nothing_alive():
    """Memory of one step is used by the next: what was packed in it must not be taken for what is there now."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    inputs = [torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(k)) for k in range(6)]
    with compressed_activations(model, 1.0, "float32"):
        for x in inputs:
            model.zero_grad()
            model(x).square().mean().backward()
            ours = model[0].weight.grad.clone()
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
                model.zero_grad()
                model(x).square().mean().backward()
            torch.testing.assert_close(ours, model[0].weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("change", [False, True])
def test_a_map_that_changes_in_place_is_not_taken_for_what_it_was(change):
    one, two = nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False)
    model, x = nn.ModuleList([one, two]), torch.randn(4, 4, 32, 32)
    with compressed_activations(model, 1.0, "float32") as saved:
        y = one(x).sum()
        before = x.clone()
        if change:
            x.mul_(3)
        y = y + two(x).sum()
    y.backward()
    for conv, read in ((one, before), (two, x)):
        truth = read.sum((0, 2, 3)).expand(4, 4)
        torch.testing.assert_close(conv.weight.grad[..., 0, 0], truth, rtol=1e-3, atol=1e-2)
    assert saved.kept == x.nbytes * (2 if change else 1)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Conv2d(1, 1, 3), {"keep": 0}, "keep is"),
        (nn.Conv2d(1, 1, 3), {"keep": 1.5}, "keep is"),
        (nn.Conv2d(1, 1, 3), {"dtype": "int3"}, "dtype is one of 'float32', 'bf16', 'int8', 'int4'; got 'int3'"),
        (nn.Conv2d(1, 1, 3), {"block": 1}, "block is"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.LayerNorm(4)), {}, "has a LayerNorm"),
        ("resnet", {}, "the model is an nn.Module.*got a str"),
    ],
)
def test_what_cannot_be_compressed_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message), compressed_activations(model, **options):
        pass


def test_bench_rows(tmp_path, capsys):
    out = tmp_path / "rows.json"
    arguments = ["--model", "upsampling", "--batch", "2", "--size", "32", "--keeps", "1", "0.5", "--formats", "int8"]
    assert main(["bench", "activations", *arguments, "--no_memory", "--repeats", "0", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    exact, all_bands, half = result["rows"]
    assert exact["share"] == 1 and exact["bytes"] > all_bands["bytes"] > half["bytes"]
    assert all_bands["error"] < half["error"] and result["folder"] == "drawn"
    assert "int8" in capsys.readouterr().out


def test_drawn_pictures_fall_as_those_of_photographs():
    """Power falls as 1 / frequency^2: each octave holds as much."""
    planes = pictures((8, 8), 16, 128, None)
    spectrum = torch.fft.rfft2(block_idct(planes.y)).abs().square().mean(0)
    frequency = (torch.fft.fftfreq(128)[:, None] ** 2 + torch.fft.rfftfreq(128) ** 2).sqrt() * 128
    octaves = [spectrum[(frequency >= f) & (frequency < 2 * f)].sum().item() for f in (4, 8, 16, 32)]
    assert max(octaves) < 1.3 * min(octaves)


def test_masks_of_dropout_are_kept_exactly():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Dropout(0.5), nn.Flatten(2))
    x, gradients = torch.rand(4, 3, 32, 32), []
    for packing in (nullcontext(), compressed_activations(model, 0.1)):
        torch.manual_seed(1)
        with packing:
            loss = model(x).sum()
        gradients.append(torch.autograd.grad(loss, model[0].bias)[0])
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)
