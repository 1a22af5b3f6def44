"""Derivatives of the loss with respect to pixels, first and second: explicit Hessians, finite differences, closed forms."""

import math
from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dctnet.coefficients import Coefficients
from dctnet.dct import block_dct
from dctnet.nn.band_limited import BandLimitedConv2d
from dctnet.nn.pixel_frontend import PixelFrontend
from dctnet.robustness.curvature import (
    QUANTITIES,
    hessian_vector_product,
    input_gradients,
    loss_hessian,
    norms,
    top_eigenvalues,
)
from dctnet.robustness.lanczos import WHICH, outermost_eigenvalues
from tests.networks import small

CLASSES, SHAPE = 4, (3, 8, 8)


class BlockDCT(nn.Module):
    """Pixels to the coefficients of all colours as channels, or by way of them to pixels again."""

    def __init__(self, b: int, back: bool = False):
        super().__init__()
        self.b, self.frontend = b, PixelFrontend(b, color="ycbcr") if back else None

    def forward(self, x):
        planes = block_dct(255 * x - 128, self.b)
        if self.frontend is not None:
            return self.frontend(Coefficients(*planes.unbind(1)))
        return planes.flatten(1, 2) / (128 * self.b)


def head(channels: int) -> tuple[nn.Module, ...]:
    return nn.BatchNorm2d(channels), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, CLASSES)


NETWORKS = {
    "dense": lambda: nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, 6, 3), *head(6)),
    "band-limited": lambda: nn.Sequential(
        BandLimitedConv2d(3, 5, 3, padding=1, compression=0.4), nn.Tanh(), BandLimitedConv2d(5, 6, 3, compression=0.3),
        *head(6)
    ),
    "DCT of 4": lambda: nn.Sequential(BlockDCT(4), nn.Conv2d(48, 6, 1), *head(6)),
    "DCT of 8": lambda: nn.Sequential(BlockDCT(8), nn.Conv2d(192, 6, 1), *head(6)),
    "pixels of the DCT": lambda: nn.Sequential(BlockDCT(8, back=True), nn.Conv2d(3, 6, 3), *head(6)),
}  # fmt: skip
PIECEWISE_LINEAR = lambda: nn.Sequential(  # noqa: E731
    nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, CLASSES)
)


def made(network, dtype=torch.float64):
    """With larger weights than layers begin with, so that the loss is curved."""
    torch.manual_seed(0)
    network = network().to(dtype).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(2)
    return network


def pictures(n=3, dtype=torch.float64):
    return torch.rand(n, *SHAPE, dtype=dtype, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 3, 1])


def loss(network, label):
    return lambda x: F.cross_entropy(network(x.view(1, *SHAPE)), label[None])


@lru_cache
def explicit(name):
    """The Hessian of the first picture, row by row."""
    return torch.autograd.functional.hessian(loss(made(NETWORKS[name]), LABELS[0]), pictures(1).flatten())


def of_differences(network, picture, label, step=1e-5):
    """The Hessian by central differences of gradients: no second derivative of anything is taken."""
    size = picture.numel()
    steps = torch.eye(size, dtype=torch.float64) * step
    moved = (picture.flatten() + torch.cat([steps, -steps])).view(-1, *SHAPE).requires_grad_()
    losses = F.cross_entropy(network(moved), label.expand(2 * size), reduction="sum")
    ahead, behind = torch.autograd.grad(losses, moved)[0].flatten(1).chunk(2)
    return (ahead - behind) / (2 * step)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # torch's own, of forward mode
@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_with_the_explicit_hessian(name):
    network, pixels = made(NETWORKS[name]), pictures(1)
    v = torch.randn(pixels.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = explicit(name) @ v.flatten()
    product = hessian_vector_product(network, pixels, LABELS[:1], v).flatten()
    assert expected.norm() > 0.01  # there is something to find
    torch.testing.assert_close(product, expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(explicit(name), of_differences(network, pixels, LABELS[0]), rtol=1e-5, atol=1e-7)
    if name != "band-limited":  # which has no forward mode
        forward_over_reverse = torch.func.hessian(loss(network, LABELS[0]))(pixels.flatten())
        torch.testing.assert_close(forward_over_reverse, explicit(name), rtol=1e-9, atol=1e-11)
    # Compiled loops take float32.
    single = hessian_vector_product(made(NETWORKS[name], torch.float32), pixels.float(), LABELS[:1], v.float())
    assert (single.flatten() - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("name", NETWORKS)
def test_eigenvalues_are_those_of_the_explicit_hessian(name):
    every = np.linalg.eigvalsh(explicit(name).numpy())
    size = abs(every).max()
    for which in WHICH:
        expected = every[{"LA": -every, "SA": every, "LM": -abs(every)}[which].argsort()][:3]
        found = top_eigenvalues(made(NETWORKS[name]), pictures(1), LABELS[:1], 3, which, tolerance=1e-8)
        np.testing.assert_allclose(found.values[0], expected, rtol=1e-6, atol=1e-8 * size)
        assert not found.missing.any() and (found.residuals < 1e-6 * size).all()
        network, pixels = made(NETWORKS[name], torch.float32), pictures(1).float()
        single = top_eigenvalues(network, pixels, LABELS[:1], which=which)
        np.testing.assert_allclose(single.values[0], expected[:1], rtol=1e-3, atol=1e-4 * size)


def softmax_regression(dtype=torch.float64):
    network = made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(math.prod(SHAPE), CLASSES)), dtype)
    return network, network[1].weight.detach().double()


def test_softmax_regression_has_closed_forms():
    """With W the weights: gradients W'(p - e), -W'(p - e), p_k W'(e - p), W'e; the Hessian W'(diag(p) - pp')W."""
    (network, W), pixels = softmax_regression(), pictures()
    p = network(pixels).softmax(1).detach()
    e = F.one_hot(LABELS, CLASSES)
    chosen = (p * e).sum(1, keepdim=True)
    closed = {
        "loss": (-chosen.log(), (p - e) @ W),
        "log_probability": (chosen.log(), (e - p) @ W),
        "probability": (chosen, chosen * ((e - p) @ W)),
        "logit": ((network(pixels) * e).sum(1, keepdim=True).detach(), e.double() @ W),
    }
    assert closed.keys() == QUANTITIES.keys()
    for of, (value, gradient) in closed.items():
        values, gradients = input_gradients(network, pixels, LABELS, of)
        torch.testing.assert_close(values, value[:, 0])
        torch.testing.assert_close(gradients.flatten(1), gradient)
    found = top_eigenvalues(network, pixels, LABELS, count=5, tolerance=1e-10)
    for picture in range(3):
        H = W.T @ (p[picture].diag() - torch.outer(p[picture], p[picture])) @ W
        every = np.linalg.eigvalsh(H.numpy())[::-1]
        # No more than classes - 1 of them are positive; zeros are found as such.
        assert every[CLASSES - 2] > 1e-3 > 1e-10 > every[CLASSES - 1]
        np.testing.assert_allclose(found.values[picture], every[:5], rtol=1e-7, atol=1e-8)


def test_norms_are_those_of_numpy():
    gradients = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    flat = gradients.double().flatten(1).numpy()
    for ours, order in zip(norms(gradients), (1, 2, np.inf), strict=True):
        assert ours.dtype == torch.float64
        np.testing.assert_allclose(ours, np.linalg.norm(flat, order, axis=1), rtol=1e-12)


def test_a_piecewise_linear_network_is_curved_by_the_softmax_alone():
    network, pixels = made(PIECEWISE_LINEAR), pictures()
    found = [top_eigenvalues(network, pixels, labels, 4, tolerance=1e-8) for labels in (LABELS, (LABELS + 1) % CLASSES)]
    torch.testing.assert_close(found[0].values, found[1].values, rtol=1e-6, atol=1e-7)
    assert (found[0].values[:, 2] > 1e-3).all() and (found[0].values[:, 3].abs() < 1e-7).all()
    least = top_eigenvalues(network.float(), pixels.float(), LABELS, which="SA", tolerance=1e-3)
    assert (least.values.abs() < 1e-3).all() and (least.products < 60).all()
    # And along v as the explicit J'(diag(p) - pp')J.
    J = torch.autograd.functional.jacobian(lambda x: network.double()(x[None])[0], pixels[0]).flatten(1)
    p = network(pixels[:1])[0].softmax(0).detach()
    v = pixels[1:2] - 0.5
    product = hessian_vector_product(network, pixels[:1], LABELS[:1], v).flatten()
    torch.testing.assert_close(product, J.T @ ((p.diag() - torch.outer(p, p)) @ (J @ v.flatten())))


def test_a_batch_is_its_pictures():
    network, pixels = made(NETWORKS["dense"]), pictures()
    whole = top_eigenvalues(network, pixels, LABELS, count=2)
    values, gradients = input_gradients(network, pixels, LABELS)
    for picture in range(3):
        one = slice(picture, picture + 1)
        alone = top_eigenvalues(network, pixels[one], LABELS[one], count=2)
        for field in alone._fields:
            assert torch.equal(getattr(alone, field), getattr(whole, field)[one]), field
        value, gradient = input_gradients(network, pixels[one], LABELS[one])
        torch.testing.assert_close(value, values[one])
        torch.testing.assert_close(gradient, gradients[one])
    for left, right in zip(input_gradients(network, pixels, LABELS, batch_size=2), (values, gradients), strict=True):
        torch.testing.assert_close(left, right)
    empty = top_eigenvalues(network, pixels[:0], LABELS[:0], count=2)
    assert empty.values.shape == (0, 2) and empty.missing.shape == (0,)


def test_it_is_the_seed_that_decides():
    network, pixels = made(NETWORKS["dense"]), pictures(1)
    runs = [top_eigenvalues(network, pixels, LABELS[:1], 2, tolerance=1e-3, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(runs[0].values, runs[1].values)
    assert not torch.equal(runs[0].values, runs[2].values)
    torch.testing.assert_close(runs[0].values, runs[2].values, rtol=1e-2, atol=0)


def test_nothing_around_matters_and_nothing_is_left_behind():
    network, pixels = made(NETWORKS["dense"], torch.float32), pictures(dtype=torch.float32)
    expected = loss_hessian(network, pixels, LABELS)(pixels)
    with torch.inference_mode():
        assert torch.equal(loss_hessian(network, pixels, LABELS)(pixels), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(hessian_vector_product(network, pixels, LABELS, pixels), expected)
    assert not expected.requires_grad and not pixels.requires_grad
    assert all(weights.grad is None for weights in network.parameters())


def test_a_network_of_the_zoo():
    """Central differences of gradients through a whole network on coefficients."""
    network = small("late_concat_rfa_thinner").double().eval()

    class OfPixels(nn.Module):
        def forward(self, x):
            y = block_dct(x[:, 0] - 0.5, 8)
            chroma = block_dct(F.avg_pool2d(x[:, 1:], 2) - 0.5, 8)
            return network(Coefficients(y, *chroma.unbind(1)))

    x = torch.rand(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    v = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, step = OfPixels().eval(), 1e-8
    ahead, behind = (input_gradients(ours, x + side * step * v, LABELS[:1])[1] for side in (1, -1))
    expected = (ahead - behind) / (2 * step)
    product = hessian_vector_product(ours, x, LABELS[:1], v)
    assert expected.norm() > 1e-4
    assert (product - expected).norm() < 1e-4 * expected.norm()


def test_no_curvature_is_zero():
    network, pixels = made(PIECEWISE_LINEAR), pictures()
    with torch.no_grad():
        network[-1].weight.zero_()
    found = top_eigenvalues(network, pixels, LABELS, count=3)
    assert not found.values.any() and not found.residuals.any() and (found.products == 1).all()
    assert not input_gradients(network, pixels, LABELS)[1].any()


def symmetric(eigenvalues, seed=0):
    vectors = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(eigenvalues),) * 2))[0]
    return vectors * eigenvalues @ vectors.T


SPECTRA = {
    "spread": np.linspace(-1, 2, 60),
    "few": np.r_[5.0, 3.0, -4.0, np.zeros(57)],
    "negative": -np.linspace(1, 10, 60),
    "around one": 1 + np.linspace(0, 1e-3, 60),
    "tiny": np.linspace(1e-3, 1, 60) * 1e-20,
    "huge": np.linspace(1e-3, 1, 60) * 1e20,
    "of two": np.array([3.0, -1.0]),
}


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("name", SPECTRA)
def test_any_spectrum(name, which):
    every = SPECTRA[name]
    matrix, count = symmetric(every), min(2, len(every) - 1)
    values, residuals, products = outermost_eigenvalues(
        lambda v: matrix @ v, len(every), count, which, 1e-8, most_products=400
    )
    order = {"LA": -every, "SA": every, "LM": -abs(every)}[which].argsort(kind="stable")
    np.testing.assert_allclose(values, every[order[:count]], rtol=1e-7, atol=1e-7 * abs(every).max())
    assert (residuals < 1e-6 * abs(every).max()).all() and products <= 400


@pytest.mark.parametrize("count", [1, 3, 6])
def test_what_did_not_converge_is_told(count):
    every = np.r_[np.linspace(0, 1, 498), 20.0, 30.0]  # two are found at once, the others lie close together
    matrix, calls, parts = symmetric(every), [], set()

    def product(v):
        calls.append(None)
        return matrix @ v

    for most in (2 * count + 4, 30, 45, 60, 100):
        calls.clear()
        values, residuals, products = outermost_eigenvalues(product, 500, count, "LA", 1e-9, most_products=most)
        assert len(calls) == products <= most
        found = int((~np.isnan(values)).sum())
        parts.add(found)
        np.testing.assert_allclose(values[:found], [30.0, 20.0][:found], rtol=1e-8)
        assert np.isnan(values[found:]).all() and np.array_equal(np.isnan(values), np.isnan(residuals))
    assert max(parts) == min(count, 2)
    network = made(NETWORKS["dense"])
    few = top_eigenvalues(network, pictures(), LABELS, 6, tolerance=0, most_products=16)
    assert (few.missing > 0).all() and (few.products <= 16).all()


class Detached(nn.Module):
    def forward(self, x):
        return torch.nn.Parameter(torch.ones(4)) * x.detach().flatten(1)[:, :4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": made(NETWORKS["dense"]).train()}, "training mode"),
        ({"network": nn.Conv2d(3, 4, 3).double().eval()}, r"logits are \(n, classes\)"),
        ({"network": Detached().eval()}, "detached"),
        ({"pixels": pictures()[0]}, r"\(n, c, h, w\)"),
        ({"pixels": (255 * pictures()).to(torch.uint8)}, "float type"),
        ({"pixels": 255 * pictures()}, r"lie in \[0, 1\]"),
        ({"pixels": pictures() * math.nan}, r"lie in \[0, 1\]"),
        ({"labels": LABELS[:2]}, "one class"),
        ({"labels": LABELS.float()}, "one class"),
        ({"labels": LABELS + 1}, "has 4 classes; got 4"),
        ({"labels": LABELS - 1}, "has 4 classes; got -1"),
        ({"count": 0}, "count is a whole number"),
        ({"count": 192}, "less than the number of values, 192"),
        ({"which": "BE"}, "which is one of 'LA', 'SA', 'LM'"),
        ({"tolerance": -1}, "tolerance"),
        ({"seed": 0.5}, "seed"),
        ({"count": 2, "most_products": 7}, "most_products is a whole number at least 8"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"network": made(NETWORKS["dense"]), "pixels": pictures(), "labels": LABELS} | change
    with pytest.raises(ValueError, match=message):
        top_eigenvalues(**arguments)


def test_more_that_does_not_fit():
    network, pixels = made(NETWORKS["dense"]), pictures()
    with pytest.raises(ValueError, match="of is one of"):
        input_gradients(network, pixels, LABELS, "margin")
    with pytest.raises(ValueError, match="batch_size"):
        input_gradients(network, pixels, LABELS, batch_size=0)
    with pytest.raises(ValueError, match="vectors have the shape"):
        hessian_vector_product(network, pixels, LABELS, pixels[:1])
    with pytest.raises(ValueError, match="not finite"):
        outermost_eigenvalues(lambda v: v * math.inf, 5)
