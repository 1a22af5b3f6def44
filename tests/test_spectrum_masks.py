"""Masks of the half spectrum against the whole spectrum, their formulas and numpy's transform."""

import itertools

import numpy as np
import pytest
import torch

from dctnet.nn.spectrum_masks import MASKS, dropped_fraction, frequencies, kept, spectrum_mask

SIZES = [(12,), (13,), (16, 16), (15, 16), (16, 9), (1, 8), (6, 5, 4)]


def whole(mask, size):
    """The mask of all coefficients, by conjugate symmetry: entry f of the half, or that of -f."""
    full = np.zeros(size, bool)
    for f in itertools.product(*map(range, size)):
        negative = tuple(-k % n for k, n in zip(f, size, strict=True))
        full[f] = mask[f if f[-1] <= size[-1] // 2 else negative]
    return full


def formula(mask, cycles, size):
    """The order at the top of the file, written once more."""
    shares = [abs(k) / n for k, n in zip(cycles, size, strict=True)]
    return {
        "square": max(shares),
        "triangle": sum(shares),
        "radial": sum(s * s for s in shares),
        "hyperbolic": np.prod([1 + abs(k) for k in cycles]),
    }[mask]


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_keep_one_side_of_an_order_and_say_what_they_drop(size, mask, inverse):
    orders = np.array([
        formula(mask, [k - n if 2 * k > n else k for k, n in zip(f, size, strict=True)], size)
        for f in itertools.product(*map(range, size))
    ])  # fmt: skip
    levels = np.unique(orders.round(12))
    possible = [1 - np.mean(orders >= level - 1e-9 if inverse else orders <= level + 1e-9) for level in levels]
    for compression in (0, 0.1, 0.37, 0.5, 0.75, 0.99):
        half = spectrum_mask(size, compression, mask, inverse).numpy()
        full = whole(half, size)
        dropped = dropped_fraction(torch.from_numpy(half), size)
        assert dropped == pytest.approx(1 - full.mean(), abs=1e-12)
        assert abs(dropped - compression) <= min(abs(p - compression) for p in possible) + 1e-9  # the nearest there is
        keeps, drops = orders[full.ravel()], orders[~full.ravel()]
        assert len(keeps)
        if len(drops):
            assert keeps.min() > drops.max() - 1e-9 if inverse else keeps.max() < drops.min() + 1e-9


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("size", [(12, 10), (9, 7), (8, 9)], ids=str)
def test_what_is_left_is_the_spectrum_of_a_real_signal(size, mask):
    x = np.random.default_rng(0).standard_normal(size)
    for compression, inverse in itertools.product((0.3, 0.6, 0.9), (False, True)):
        full = np.fft.fft2(x) * whole(spectrum_mask(size, compression, mask, inverse).numpy(), size)
        assert np.abs(np.fft.ifft2(full).imag).max() < 1e-14
        for v, u in itertools.product((0, size[0] // 2), (0, size[1] // 2)):
            own_negative = (2 * v % size[0], 2 * u % size[1]) == (0, 0)
            assert not own_negative or abs(full[v, u].imag) < 1e-12  # DC and Nyquist are real


def test_low_and_high_pass_at_one_half_part_the_spectrum_but_for_one_order():
    low, high = spectrum_mask((64, 64), 0.5, "triangle"), spectrum_mask((64, 64), 0.5, "triangle", inverse=True)
    assert low[0, 0] and not high[0, 0] and high[32, 32] and not low[32, 32]
    v, u = np.nonzero((low == high).numpy())
    assert len(set(np.minimum(v, 64 - v) + u)) == 1


def test_the_square_on_sides_of_different_length_is_the_rectangle_of_the_same_shape():
    mask = spectrum_mask((40, 20), 0.75)
    assert mask[:10, :5].all() and mask[-9:, :5].all() and mask.sum() == 19 * 5  # rows -9 ... 9, columns -4 ... 4


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_boxes_and_places_are_the_mask(size, mask):
    for compression, inverse in itertools.product((0.0, 0.4, 0.8), (False, True)):
        what = kept(size, compression, mask, inverse)
        half = spectrum_mask(size, compression, mask, inverse).numpy()
        sides = [frequencies(n, r) % n for n, r in zip(size[:-1], what.reach[:-1], strict=True)]
        sides.append(np.arange(what.reach[-1] + 1))
        box = np.zeros([len(side) for side in sides], bool)
        if what.index is None:
            box[:] = True
        else:
            box.ravel()[what.index] = True
        again = np.zeros_like(half)
        again[np.ix_(*sides)] = box
        np.testing.assert_array_equal(again, half)
        assert what.dropped == dropped_fraction(torch.from_numpy(half), size)


def test_wrong_arguments_are_refused():
    for wrong, message in (
        ({"compression": 1.0}, "compression is"),
        ({"compression": -0.1}, "compression is"),
        ({"mask": "round"}, "mask is one of square, triangle, radial, hyperbolic; got 'round'"),
        ({"inverse": 1}, "inverse is True or False"),
    ):
        with pytest.raises(ValueError, match=message):
            spectrum_mask((8, 8), **wrong)
    with pytest.raises(ValueError, match="size is"):
        spectrum_mask((8, 0))
    with pytest.raises(ValueError, match=r"has the shape \(8, 5\); got a mask \(8, 8\)"):
        dropped_fraction(torch.ones(8, 8, dtype=torch.bool), (8, 8))
