"""The algorithms of a convolution against torch's own in float64, and what "auto" remembers."""

from importlib import import_module

import pytest
import torch
import torch.nn.functional as F

from dctnet.nn.convolution import ALGORITHMS, auto_choices, convolution, forget_auto_choices
from dctnet.nn.im2col import im2col_convolution

room = import_module("dctnet.nn.convolution")  # the package has the function under this name

# map, filters, stride, padding, dilation, groups
CASES = [
    ((2, 3, 9, 7), (4, 3, 3, 3), 1, 1, 1, 1),
    ((2, 4, 12, 11), (6, 2, 3, 4), (2, 3), (0, 2), (1, 2), 2),
    ((1, 4, 9, 9), (4, 1, 5, 2), 2, 3, 1, 4),
    ((1, 2, 12, 8), (3, 2, 4, 3), 1, "same", (2, 1), 1),
    ((2, 3, 17), (4, 3, 5), 3, 2, 2, 1),
    ((2, 4, 9), (2, 2, 2), 1, "valid", 1, 2),
    ((3, 9, 9), (2, 3, 3, 3), 2, 1, 1, 1),
]


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def torchs(x, w, bias, *given):
    return (F.conv1d if w.dim() == 3 else F.conv2d)(x, w, bias, *given)


@pytest.fixture
def empty():
    forget_auto_choices()
    yield
    forget_auto_choices()


def fits(algorithm, stride, dilation):
    return algorithm != "winograd" or (stride, dilation) == (1, 1)


@pytest.mark.usefixtures("empty")
@pytest.mark.usefixtures("empty")
def test_auto_leaves_what_the_others_do_not_compute_to_torch():
    whole = torch.arange(2 * 3 * 20 * 20).remainder(19).reshape(2, 3, 20, 20) - 9
    w = torch.arange(4 * 3 * 25).remainder(17).reshape(4, 3, 5, 5) - 8
    assert torch.equal(convolution(whole, w, padding=2), F.conv2d(whole, w, padding=2))
    x, v = normal(1, 2, 8, 8).to(torch.complex64).requires_grad_(), normal(2, 2, 3, 3).to(torch.complex64)
    found, true = (torch.autograd.grad(f(x, v).abs().sum(), x)[0] for f in (convolution, F.conv2d))
    assert torch.equal(found, true)
    assert convolution(normal(0, 2, 8, 8), normal(2, 2, 3, 3)).shape == (0, 2, 6, 6) and not auto_choices()
    with pytest.raises(ValueError, match="real floating-point"):
        convolution(whole, w, algorithm="winograd")


@pytest.mark.parametrize("algorithm", ["im2col", "winograd", "fft"])
def test_a_graph_holds_any_number_of_maps(algorithm):
    class Layer(torch.nn.Module):
        def forward(self, x, w):
            return convolution(x, w, padding=1, algorithm=algorithm)

    batch = torch.export.Dim("batch", min=1, max=64)
    w = normal(4, 3, 3, 3)
    graph = torch.export.export(
        Layer(), (normal(2, 3, 12, 12), w), dynamic_shapes={"x": {0: batch}, "w": None}
    ).module()
    x = normal(7, 3, 12, 12)
    torch.testing.assert_close(graph(x, w), F.conv2d(x, w, padding=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "auto"])
@pytest.mark.parametrize(("shape", "filters", "stride", "padding", "dilation", "groups"), CASES)
def test_each_algorithm_is_torchs(shape, filters, stride, padding, dilation, groups, algorithm):
    operands = [normal(*size, seed=i) for i, size in enumerate((shape, filters, filters[:1]))]
    given = (stride, padding, dilation, groups)
    if not fits(algorithm, stride, dilation):
        with pytest.raises(ValueError, match="Winograd's form is for"):
            convolution(*operands, *given, algorithm)
        return
    ours, theirs = convolution(*operands, *given, algorithm), torchs(*operands, *given)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)
    g = normal(*theirs.shape, seed=3).detach()
    for mine, true in zip(*(torch.autograd.grad(y, operands, g) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=1e-11)


def test_im2col_passes_gradcheck_and_keeps_the_patches():
    x, w, bias = normal(1, 2, 5, 6), normal(2, 1, 3, 2), normal(2)
    assert torch.autograd.gradcheck(lambda *operands: im2col_convolution(*operands, 2, 1, 1, 2), (x, w, bias))
    x, w, saved = normal(2, 3, 10, 10), normal(4, 3, 3, 3), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        im2col_convolution(x, w, padding=1)
    assert max(saved) == 9 * x.numel()


@pytest.mark.usefixtures("empty")
def test_auto_measures_once_per_case_and_takes_the_quickest(monkeypatch):
    calls, now = [], [0.0]
    cost = {"direct": 3.0, "im2col": 2.0, "winograd": 1.0, "fft": 50.0}

    def pretended(name):
        def run(x, w, bias, *given):
            calls.append(name)
            now[0] += cost[name]
            return torchs(x, w, bias, *given)

        return run

    monkeypatch.setattr(room, "ALGORITHMS", {name: pretended(name) for name in ALGORITHMS})
    monkeypatch.setattr(room.time, "perf_counter", lambda: now[0])
    x, w = normal(1, 2, 8, 8), normal(2, 2, 3, 3)
    convolution(x, w, padding=1)
    (case, choice), *others = auto_choices().items()
    assert not others and choice.algorithm == "winograd" and case.gradients == (True, True)
    assert choice.seconds == {"direct": 3.0, "im2col": 2.0, "winograd": 1.0}  # fft was too far behind
    assert calls.count("fft") == 2 and calls[-1] == "winograd"
    calls.clear()
    convolution(x, w, padding=1)
    assert calls == ["winograd"]
    with torch.no_grad():  # another case
        convolution(x, w, padding=1)
    assert len(auto_choices()) == 2
    calls.clear()
    convolution(x, w, padding=1, stride=2)
    assert "winograd" not in calls and calls[-1] == "im2col"
    forget_auto_choices()
    assert not auto_choices()


@pytest.mark.usefixtures("empty")
def test_auto_forgets_the_oldest_and_leaves_patches_that_are_too_many(monkeypatch):
    monkeypatch.setattr(room, "MOST_CHOICES", 2)
    monkeypatch.setattr(room, "MOST_PATCHES", 8 * 2 * 4)
    monkeypatch.setattr(room, "HOPELESS", 1e9)
    w = normal(1, 2, 4)
    for length in (11, 12, 13):
        convolution(normal(1, 2, length), w)
    assert [case.map[2] for case in auto_choices()] == [12, 13]
    assert ["im2col" in choice.seconds for choice in auto_choices().values()] == [False, False]
    convolution(normal(1, 2, 11), w)
    assert "im2col" in list(auto_choices().values())[-1].seconds


@pytest.mark.usefixtures("empty")
def test_auto_under_a_compiler_or_a_transformation_is_torchs():
    x, w = normal(1, 2, 8, 8), normal(2, 2, 3, 3)
    compiled = torch.compile(lambda x, w: convolution(x, w, padding=1), backend="eager", fullgraph=True)
    assert torch.equal(compiled(x, w), F.conv2d(x, w, padding=1)) and not auto_choices()
    of_w = torch.func.grad(lambda w: convolution(x, w, padding=1).square().sum())(w)
    true = torch.autograd.grad(F.conv2d(x, w, padding=1).square().sum(), w)[0]
    torch.testing.assert_close(of_w, true)
    assert not auto_choices()


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "auto"])
def test_autocast_and_inference_mode(algorithm):
    x, w, bias = normal(1, 4, 8, 8), normal(4, 4, 3, 3), normal(4)
    operands = [t.detach().float() for t in (x, w, bias)]
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        y = convolution(*operands, padding=1, algorithm=algorithm)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), F.conv2d(x, w, bias, padding=1), rtol=0.05, atol=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "karatsuba"}, "one of direct, im2col, winograd, fft, auto; got 'karatsuba'"),
        ({"groups": 2}, "filters .* in 2 groups read 6 channels"),
        ({"stride": 0}, "stride is"),
        ({"padding": "some"}, "padding is numbers, 'valid', or, at stride 1, 'same'; got 'some'"),
        ({"padding": "same", "stride": 2}, "at stride 1, 'same'"),
        ({"dilation": 8}, "fits into the padded map"),
        ({"bias": torch.zeros(3)}, r"bias has one number for each of 4 outputs; got the shape \(3,\)"),
        ({"bias": torch.zeros(4, dtype=torch.float64)}, "of one type; got torch.float32, torch.float64"),
        ({"x": torch.zeros(3)}, "maps are"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    operands = {"x": torch.zeros(1, 3, 8, 8), "w": torch.zeros(4, 3, 3, 3)}
    for algorithm in (*ALGORITHMS, "auto"):
        with pytest.raises(ValueError, match=message):
            convolution(**operands | {"algorithm": algorithm} | options)
