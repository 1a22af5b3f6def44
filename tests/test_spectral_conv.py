"""SpectralConv2d against torch's own Conv2d and numpy's transform of its filters."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from dctnet.models.cost import parameters
from dctnet.nn.spectral_conv import SpectralConv2d, fourier_pictures

ARGUMENTS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (4, 5), "stride": (2, 1), "groups": 4, "bias": False},
    {"kernel_size": 2, "stride": 2, "padding": (1, 0), "padding_mode": "circular"},
    {"kernel_size": (1, 6), "padding": "same", "dilation": 2, "padding_mode": "reflect"},
    {"kernel_size": 1},
]


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_it_is_torchs_convolution_in_another_basis(arguments):
    torch.manual_seed(0)
    theirs, x = nn.Conv2d(8, 16, **arguments, dtype=torch.float64), maps(2, 8, 13, 14)
    ours = SpectralConv2d.from_conv(theirs)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.to_conv().weight, theirs.weight)
    torch.testing.assert_close(ours.to_conv()(x), theirs(x))
    assert parameters(ours) == parameters(theirs)
    truth = np.fft.rfft2(theirs.weight.detach().numpy(), norm="ortho")
    torch.testing.assert_close(ours.spectrum, torch.from_numpy(truth))
    y = theirs(x)
    g = maps(*y.shape, seed=1)
    y.backward(g)
    ours(x).backward(g)
    pictures = fourier_pictures(ours.kernel_size)
    torch.testing.assert_close(ours.mixing.grad, torch.einsum("oihw,khw->oik", theirs.weight.grad, pictures))


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 4), (2, 5), (5, 2), (1, 7), (6, 1)], ids=str)
def test_numbers_are_those_of_the_half_spectrum(kernel):
    pictures = fourier_pictures(kernel)
    flat = pictures.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(kernel[0] * kernel[1], dtype=torch.float64))
    w = np.random.default_rng(0).standard_normal(kernel)
    spectrum, expected, seen = np.fft.fft2(w, norm="ortho"), [], set()
    for v, u in np.ndindex(kernel[0], kernel[1] // 2 + 1):
        negative = (-v % kernel[0], -u % kernel[1])
        if negative == (v, u):
            assert abs(spectrum[v, u].imag) < 1e-12  # real at DC and at Nyquist: one number
            expected.append(spectrum[v, u].real)
        elif negative not in seen:
            seen.add((v, u))
            expected += [2**0.5 * spectrum[v, u].real, 2**0.5 * spectrum[v, u].imag]
    np.testing.assert_allclose(flat.numpy() @ w.ravel(), expected, atol=1e-12)


def test_gradient_descent_is_the_same_and_adam_is_not():
    x, goal = maps(4, 2, 8, 8), maps(4, 3, 6, 6, seed=1)
    filters = {}
    for make in (torch.optim.SGD, torch.optim.Adam):
        for kind in (lambda layer: layer, SpectralConv2d.from_conv):
            torch.manual_seed(0)
            layer = kind(nn.Conv2d(2, 3, 3, dtype=torch.float64))
            optimiser = make(layer.parameters(), lr=0.01)
            for _ in range(3):
                optimiser.zero_grad()
                (layer(x) - goal).square().mean().backward()
                optimiser.step()
            w = layer.composed() if isinstance(layer, SpectralConv2d) else layer.weight
            filters.setdefault(make, []).append(w)
    torch.testing.assert_close(*filters[torch.optim.SGD])
    assert (filters[torch.optim.Adam][0] - filters[torch.optim.Adam][1]).abs().max() > 1e-3


def test_fresh_layers_keep_the_variance_of_a_convolution_and_their_state():
    torch.manual_seed(0)
    x = maps(4, 64, 16, 16).float()
    layer = SpectralConv2d(64, 64, 3, bias=False)
    assert layer(x).var().item() == pytest.approx(nn.Conv2d(64, 64, 3, bias=False)(x).var().item(), rel=0.15)
    assert list(layer.state_dict()) == ["mixing"]
    other = SpectralConv2d(64, 64, 3, bias=False)
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(x), layer(x))
    torch.testing.assert_close(copy.deepcopy(layer).double()(x.double()).float(), layer(x), rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="kernel_size is"):
        SpectralConv2d(1, 1, 0)
