"""Options of attacks are refused before the first row: each attack, each option, wrong values of several kinds."""

import math

import pytest

from dctnet.robustness.attack_trial import COUNTS, try_attack
from dctnet.robustness.attacks import ATTACKS, options_of

NEEDED = {"pgd_bands": {"bands": "square-3"}, "pgd_bands_l2": {"radii": [0.0, 0.3]}}
OPTIONS = [(name, option) for name in ATTACKS for option in options_of(name)]


def tried(name, **options):
    try_attack(name, None if ATTACKS[name].minimal else 0.1, NEEDED.get(name, {}) | options, (3, 32, 32))


@pytest.mark.parametrize("name", ATTACKS)
def test_defaults_pass(name):
    tried(name)


@pytest.mark.parametrize("name, option", OPTIONS)
@pytest.mark.parametrize("value", ["abc", -3, [1], {"a": 1}, math.nan])
def test_a_wrong_value_is_named_with_attack_and_option(name, option, value):
    with pytest.raises(ValueError, match=rf"^attack {name}: .*{option}"):
        tried(name, **{option: value})


@pytest.mark.parametrize("name, option", [case for case in OPTIONS if case[1] in COUNTS])
def test_a_large_count_is_not_counted_out(name, option):
    """Otherwise this would not end."""
    tried(name, **{option: 10**12})


def test_what_the_size_of_the_pictures_forbids_is_refused():
    with pytest.raises(ValueError, match=r"attack square_l2: .*5 x 5"):
        try_attack("square_l2", 0.5, {}, (3, 4, 4))
    with pytest.raises(ValueError, match=r"attack pgd_bands: .*8"):
        try_attack("pgd_bands", 0.1, {"bands": 6}, (3, 20, 20))
