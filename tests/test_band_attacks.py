"""Perturbations confined to frequencies: against SciPy's DCT, numpy's FFT, and the optimum of linear networks."""

import numpy as np
import pytest
import scipy.fft
import scipy.optimize
import torch
from torch import nn

from dctnet.bands import BAND_SETS, bands_of
from dctnet.coefficients import Coefficients
from dctnet.dct import block_dct
from dctnet.robustness.attacks import ATTACKS, attack
from dctnet.robustness.band_attacks import (
    Clipped,
    band_projection,
    chosen_bands,
    descend_in_bands,
    outside,
    projection_of,
    ring_projection,
)
from dctnet.robustness.budget import lengths
from dctnet.robustness.coefficient_attacks import attack_coefficients
from dctnet.robustness.conditions import attack_conditions
from dctnet.robustness.pixel_classifier import GrayLevels
from tests.networks import pictures as planes_like
from tests.networks import small
from tests.photographs import TO_YCBCR
from tests.test_attacks import Linear, conv, grays, labels_of, pictures, worst

SETS = ["square-3", "zigzag-10", 6, "all", [[0, 5, 63], [9], []], [[], [0, 1, 8], []], ["square-2", [], "triangle-3"]]
RINGS = [(0.0, 0.2), (0.2, 0.8), (0.1, 0.1001), (0.0, 0.001)]


def spectra(perturbation):
    """SciPy's DCT of each 8x8 block of Y, Cb, Cr: (n, 3, blocks, 64)."""
    ycc = np.einsum("pc,nchw->nphw", TO_YCBCR.numpy(), perturbation.double().numpy())
    n, _, height, width = ycc.shape
    blocks = ycc.reshape(n, 3, height // 8, 8, width // 8, 8).transpose(0, 1, 2, 4, 3, 5)
    return scipy.fft.dctn(blocks, axes=(-2, -1), norm="ortho").reshape(n, 3, -1, 64)


def outside_bands(perturbation, bands):
    """The largest coefficient that is not in the set."""
    free = np.zeros((3, 64), dtype=bool)
    for plane, kept in enumerate(chosen_bands(bands)):
        free[plane, list(kept)] = True
    return np.abs(spectra(perturbation) * ~free[None, :, None]).max()


def outside_ring(perturbation, low, high):
    values = np.fft.fft2(perturbation.double().numpy())
    rows, columns = (np.fft.fftfreq(side) for side in values.shape[-2:])
    radius = np.sqrt(rows[:, None] ** 2 + columns**2)
    return np.abs(values * ~((radius >= low) & (radius < high))).max()


def noise(n=3, height=16, width=24, seed=0):
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("bands", SETS, ids=str)
def test_the_projection_on_bands_is_orthogonal_and_on_them(bands):
    project, a, b = band_projection(bands), noise(), noise(seed=1)
    inside = project(a)
    assert outside_bands(inside, bands) < 1e-6  # JFIF's constants have nine digits
    torch.testing.assert_close(project(inside), inside)
    torch.testing.assert_close((project(a) * b).sum(), (a * project(b)).sum())  # symmetric
    rank = sum(map(len, chosen_bands(bands))) / 192
    share = (inside.square().sum() / a.square().sum()).item()
    assert share == pytest.approx(rank, abs=0.05)


@pytest.mark.parametrize("low, high", RINGS)
@pytest.mark.parametrize("height, width", [(16, 24), (15, 9)])
def test_the_projection_on_a_ring_is_orthogonal_and_on_it(low, high, height, width):
    project = ring_projection(low, high)
    a, b = noise(height=height, width=width), noise(height=height, width=width, seed=1)
    inside = project(a)
    assert outside_ring(inside, low, high) < 1e-12 * height * width
    torch.testing.assert_close(project(inside), inside)
    torch.testing.assert_close((project(a) * b).sum(), (a * project(b)).sum())


CASES = [("bands", bands) for bands in SETS] + [("radii", ring) for ring in RINGS[:2]]


@pytest.mark.parametrize("kind, frequencies", CASES, ids=str)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_perturbation_stays_in_its_set(kind, frequencies, norm):
    """Before it is cut to [0, 1], exactly; afterwards as far as ``outside`` tells; exactly with ``shrink``."""
    network, pixels = conv(), pictures(n=4).double()
    network.double()
    labels = labels_of(network, pixels)
    epsilon = {"linf": 8 / 255, "l2": 0.5}[norm]
    check = outside_bands if kind == "bands" else lambda change, ring: outside_ring(change, *ring) / 256
    options = {kind: frequencies, "steps": 4}

    with attack_conditions(network, pixels.device, 0):  # the draws of ``attack``
        found = descend_in_bands(network, pixels, labels, epsilon, norm=norm, **options) - pixels
    assert check(found, frequencies) < 1e-7
    assert 0.5 * epsilon < lengths(found, norm).max() <= epsilon + 1e-9

    name = {"linf": "pgd_bands", "l2": "pgd_bands_l2"}[norm]
    change = attack(name, network, pixels, labels, epsilon=epsilon, **options) - pixels
    torch.testing.assert_close(change, (pixels + found).clamp(0, 1) - pixels)
    leak = outside(change, projection_of(**({"bands": None, "radii": None} | {kind: frequencies})))
    assert (leak >= 0).all() and (leak < 0.5).all() and (frequencies == "all" or leak.max() > 1e-6)

    softer = 0.8 * pixels + 0.1  # nothing in it is black or white
    change = attack(name, network, softer, labels, epsilon=epsilon, clipping="shrink", **options) - softer
    assert check(change, frequencies) < 1e-7 and lengths(change, norm).max() > 0.1 * epsilon
    assert (softer + change).min() >= 0 and (softer + change).max() <= 1


def test_with_shrink_black_pictures_keep_what_would_leave_the_range():
    network, pixels = conv(), torch.zeros(1, 3, 16, 16)
    found = attack("pgd_bands", network, pixels, torch.tensor([0]), epsilon=0.1, bands=[[9], [], []], clipping="shrink")
    assert torch.equal(found, pixels)  # an oscillation about 0
    # Means may grow: every value above 0 is free.
    found = attack("pgd_bands", network, pixels + 0.01, torch.tensor([0]), epsilon=0.1, bands=6, clipping="shrink")
    assert not torch.equal(found, pixels + 0.01)


@pytest.mark.parametrize("bands", SETS, ids=str)
def test_in_l2_the_worst_point_of_ball_and_set_is_reached(bands):
    network, pixels = Linear((3, 16, 16)).eval(), grays(size=(3, 16, 16), spread=0.01)
    labels = labels_of(network, pixels)
    along = band_projection(bands)(worst(network, pixels, labels))
    found = attack("pgd_bands_l2", network, pixels, labels, epsilon=0.2, bands=bands, steps=60, step=0.25)
    best = 0.2 * along / lengths(along, "l2").view(-1, 1, 1, 1)
    torch.testing.assert_close(found - pixels, best, rtol=0, atol=1e-5)


def test_in_linf_most_of_the_linear_programme_is_reached():
    """The most that any perturbation in the set and in the budget can do is a linear programme; SciPy solves it."""
    network, pixels = Linear((3, 8, 8)).eval(), grays(n=2, size=(3, 8, 8), spread=0.01)
    labels = labels_of(network, pixels)
    for bands in ("square-2", "zigzag-20", [[9, 18], [0], []]):
        project = band_projection(bands)
        basis = project(torch.eye(192, dtype=torch.float64).view(192, 3, 8, 8)).flatten(1)
        values, vectors = torch.linalg.eigh(basis)
        free = vectors[:, values > 0.5].numpy()  # (192, dimension of the set)
        along = worst(network, pixels, labels)[0].flatten().numpy()
        best = scipy.optimize.linprog(
            -(along @ free), A_ub=np.concatenate([free, -free]), b_ub=np.ones(384), bounds=(None, None)
        )
        found = attack("pgd_bands", network, pixels, labels, epsilon=0.02, bands=bands, steps=100)[0] - pixels[0]
        reached = float(along @ found.flatten().numpy()) / 0.02 / -best.fun
        assert 0.8 < reached <= 1 + 1e-6, (bands, reached)


def test_behind_the_clipping_the_network_sees_pictures():
    class Strict(nn.Module):
        def forward(self, pixels):
            assert pixels.min() >= 0 and pixels.max() <= 1
            return pixels.flatten(1)[:, :3]

    network, pixels = Strict().eval(), pictures(n=2)
    attack("pgd_bands", network, pixels, torch.tensor([0, 1]), epsilon=0.3, bands="square-4", steps=3)
    assert not Clipped(network).training


@pytest.mark.parametrize("options, says", [
    ({}, "name the frequencies"),
    ({"bands": 6, "radii": (0, 1)}, "name the frequencies"),
    ({"bands": 7}, "static sets"),
    ({"bands": [[0], [64], []]}, "band"),
    ({"radii": (0.5, 0.1)}, "radii"),
    ({"radii": 0.5}, "radii"),
    ({"bands": 6, "clipping": "wrap"}, "'clip', 'shrink'"),
    ({"bands": 6, "steps": 0}, "steps"),
])  # fmt: skip
def test_what_cannot_be_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        attack("pgd_bands", conv(), pictures(n=2), torch.tensor([0, 1]), epsilon=0.1, **options)


def test_pictures_that_bands_cannot_be_of_are_refused():
    for pixels, says in ((torch.rand(1, 3, 12, 16), "whole blocks"), (torch.rand(1, 1, 16, 16), "RGB")):
        network = nn.Sequential(nn.Flatten(), nn.Linear(pixels[0].numel(), 2)).eval()
        with pytest.raises(ValueError, match=says):
            attack("pgd_bands", network, pixels, torch.tensor([0]), epsilon=0.1, bands=6)


def test_a_plane_may_have_no_bands():
    assert chosen_bands([[], [3], []]) == ((), (3,), ()) and chosen_bands(24) == tuple(BAND_SETS[24])
    assert chosen_bands(["square-2", [], "all"]) == (bands_of(6).y, (), tuple(range(64)))


class LinearOnPlanes(nn.Module):
    """Logits (-m / 2, m / 2), m = <w, planes>."""

    def __init__(self, like):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = [0.001 * torch.randn(plane.shape[1:], generator=generator).to(plane) for plane in like]

    def forward(self, planes):
        m = sum((plane * weight).flatten(1).sum(1) for plane, weight in zip(planes, self.weights, strict=True)) / 2
        return torch.stack([-m, m], 1)


@pytest.mark.parametrize("bands", [None, "square-2", [[0, 9], [], [63]]], ids=str)
@pytest.mark.parametrize("norm, epsilon", [("l2", 30.0), ("linf", 2.0)])
def test_on_coefficients_the_worst_point_is_reached(norm, epsilon, bands):
    planes = planes_like(side=32, n=3).to(torch.float64)
    network = LinearOnPlanes(planes).eval()
    labels = network(planes).argmax(1)
    found = attack_coefficients(network, planes, labels, epsilon=epsilon, norm=norm, bands=bands, steps=60, step=0.25)
    free = []
    for weight, kept in zip(network.weights, chosen_bands("all" if bands is None else bands), strict=True):
        mask = torch.zeros(64, 1, 1, dtype=torch.float64)
        mask[list(kept)] = 1
        free.append(weight * mask)
    size = torch.cat([part.flatten() for part in free]).norm()
    sign = (1 - 2 * labels.double()).view(-1, 1, 1, 1)
    for old, new, part in zip(planes, found, free, strict=True):
        best = epsilon * sign * (part / size if norm == "l2" else part.sign())
        torch.testing.assert_close(new - old, best.expand_as(old), rtol=0, atol=2e-5 * epsilon)


def test_on_coefficients_the_budget_is_one_of_gray_levels():
    """By Parseval the l2 norm is that of the samples; a network with normalised and chosen bands is attacked in gray levels."""
    network = GrayLevels(
        small("upsampling", bands=24).eval(), 24, [[0.0] * 16] + [[0.0] * 4] * 2, [[30.0] * 16] + [[10.0] * 4] * 2
    )
    planes = planes_like(side=64, n=2)
    with torch.no_grad():
        labels = network(planes).argmax(1)
    found = attack_coefficients(network, planes, labels, epsilon=25.0, steps=5)
    change = [(new - old).double() for old, new in zip(planes, found, strict=True)]
    moved = torch.stack([part.flatten(1).square().sum(1) for part in change]).sum(0).sqrt()
    assert (moved <= 25 + 1e-4).all() and (moved > 24).all()
    samples = scipy.fft.idctn(change[0].numpy().transpose(0, 2, 3, 1).reshape(-1, 8, 8), axes=(1, 2), norm="ortho")
    assert np.square(samples).sum() == pytest.approx(change[0].square().sum().item())
    again = attack_coefficients(network, planes, labels, epsilon=25.0, steps=5)
    assert all(torch.equal(*pair) for pair in zip(found, again, strict=True))
    logits = network(planes), network(found)
    rows = torch.arange(2)
    losses = [torch.nn.functional.cross_entropy(part, labels, reduction="none") for part in logits]
    assert (losses[1] > losses[0]).all() and rows.numel() == 2


@pytest.mark.parametrize("change, says", [
    ({"coefficients": torch.zeros(1, 64, 2, 2)}, "Coefficients"),
    ({"norm": "l1"}, "norm"),
    ({"epsilon": None}, "epsilon"),
    ({"labels": torch.tensor([0, 0])}, "labels"),
    ({"bands": 6, "coefficients": Coefficients(*(torch.zeros(1, 16, 2, 2) for _ in range(3)))}, "blocks of 8"),
    ({"coefficients": Coefficients(*(torch.zeros(1, 64, 2, 2, dtype=torch.int16) for _ in range(3)))}, "floating-point"),
])  # fmt: skip
def test_on_coefficients_what_cannot_be_is_refused(change, says):
    planes = Coefficients(*(torch.zeros(1, 64, 2, 2) for _ in range(3)))
    arguments = {"coefficients": planes, "labels": torch.tensor([0]), "epsilon": 1.0} | change
    with pytest.raises(ValueError, match=says):
        attack_coefficients(LinearOnPlanes(planes).eval(), **arguments)


def test_a_coefficient_of_the_pixel_attack_is_one_of_the_block_transform():
    """The bands are those of ``dct.block_dct``."""
    change = band_projection([[10], [], []])(noise(height=8, width=8))
    gray = torch.einsum("c,nchw->nhw", TO_YCBCR[0], change)
    energy = block_dct(gray)[:, :, 0, 0].square().mean(0)
    assert energy.argmax() == 10 and energy[10] > (1 - 1e-9) * energy.sum()
    assert {"pgd_bands", "pgd_bands_l2"} <= set(ATTACKS)


@pytest.mark.parametrize("norm, epsilon", [("linf", 0.1), ("linf", 8.0), ("l2", 0.5)])
def test_large_coefficients_keep_the_budget(norm, epsilon):
    """Sums of float32 numbers of hundreds are rounded by more than 1e-6."""

    class Mean(nn.Module):
        def forward(self, planes):
            return planes.y.mean((1, 2, 3))[:, None] * torch.tensor([1.0, -1.0])

    generator = torch.Generator().manual_seed(0)
    planes = Coefficients(*(300 * torch.randn(2, 64, n, n, generator=generator) for n in (4, 2, 2)))
    found = attack_coefficients(Mean().eval(), planes, torch.tensor([0, 1]), epsilon=epsilon, norm=norm, steps=5)
    change = torch.cat([(a.double() - b.double()).flatten(1) for a, b in zip(found, planes, strict=True)], 1)
    size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert (size <= epsilon + 1e-6).all() and (size > 0.9 * epsilon).all()
