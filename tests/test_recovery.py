"""What rows say together, against counting by hand and scikit-learn's kappa."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from dctnet.robustness.attack_table import agreement_table, window_panels
from dctnet.robustness.intervals import wilson
from dctnet.robustness.recovery import agreement, recoveries, recovery_window, transfer

BASE = {"network": {"checkpoint": "a"}, "pictures": "p", "count": 40, "seed": 0, "batch": 8, "trials": 1}
PGD = {"attack": "pgd", "epsilon": 0.03, "options": {"steps": 5}}
STRENGTHS = {"fft": (0.5, 0.25, 0.75), "depth": (4, 5), "jpeg": (75,)}


def verdicts(seed, share):
    return np.random.default_rng(seed).random(40) < share


def row(kind, each, channel=("none", 0.0), attack=None, l2=1.0, **key):
    about = {"channel": channel[0], "strength": channel[1], "channel_options": {}} if kind != "transfer" else {}
    return {
        "key": {"kind": kind} | BASE | (attack or {}) | about | key,
        "each": "".join(str(int(hit)) for hit in each),
        "l2": l2,
    }


CLEAN, ATTACKED = verdicts(0, 0.8), {0.03: verdicts(1, 0.2), 0.06: verdicts(2, 0.1)}


def rows():
    made = [row("clean", CLEAN)]
    for epsilon, without in ATTACKED.items():
        attack = PGD | {"epsilon": epsilon}
        made.append(row("oblivious", without, attack=attack, l2=50 * epsilon))
        for number, (name, strengths) in enumerate(STRENGTHS.items()):
            for strength in strengths:
                each = verdicts(round(100 * (number + 1) + 10 * strength + 1000 * epsilon), 0.6)
                made.append(row("oblivious", each, (name, strength), attack, 50 * epsilon))
    return made


def test_recovery_is_of_pictures_that_were_right_and_are_lost():
    made = rows()
    found = recoveries(made)
    assert len(found) == 12  # two distortions of six channels
    for one in found:
        lost = [n for n in range(40) if CLEAN[n] and not ATTACKED[one.epsilon][n]]
        behind = next(
            r["each"] for r in made
            if (r["key"].get("epsilon"), r["key"]["channel"], r["key"]["strength"]) == (one.epsilon, one.channel, one.strength)
        )  # fmt: skip
        again = sum(behind[n] == "1" for n in lost)
        assert (one.lost, one.recovered, one.share) == (len(lost), again, again / len(lost))
        assert (one.low, one.high) == wilson(again, len(lost)) and one.l2 == 50 * one.epsilon


@pytest.mark.parametrize("change", [
    {"seed": 1}, {"pictures": "q"}, {"network": {"checkpoint": "b"}}, {"options": {"steps": 6}}, {"epsilon": 0.04},
])  # fmt: skip
def test_rows_of_other_runs_are_not_mixed_in(change):
    alone = row("oblivious", verdicts(9, 0.5), ("svd", 0.5), PGD | {k: v for k, v in change.items() if k in PGD})
    alone["key"] |= change
    assert not [one for one in recoveries([*rows(), alone]) if one.channel == "svd"]
    alone = row("oblivious", verdicts(9, 0.5), ("svd", 0.5), PGD)
    assert len([one for one in recoveries([*rows(), alone]) if one.channel == "svd"]) == 1


def test_nothing_lost_is_no_recovery():
    assert (
        recoveries(
            [row("clean", CLEAN), row("oblivious", CLEAN, attack=PGD), row("oblivious", CLEAN, ("fft", 0.5), PGD)]
        )
        == []
    )


def test_the_window_of_a_channel_is_sorted_by_strength():
    window = recovery_window(rows(), "fft")
    assert list(window) == [("pgd", 0.03), ("pgd", 0.06)]
    assert [one.strength for one in window["pgd", 0.03]] == [0.25, 0.5, 0.75]
    assert recovery_window(rows(), "median") == {}
    panels = window_panels(recoveries(rows()))
    assert list(panels) == list(STRENGTHS)  # in the order of the rows
    assert [point[0] for point in panels["fft"]["pgd 0.03, L2 1.5"]] == [0.25, 0.5, 0.75]


def test_agreement_is_counting_and_cohens_kappa():
    found = [one for one in recoveries(rows()) if one.epsilon == 0.03]
    alike = agreement(found)
    assert alike.names == ["fft 0.5", "fft 0.25", "fft 0.75", "depth 4", "depth 5", "jpeg 75"]
    for i, a in enumerate(found):
        for j, b in enumerate(found):
            assert alike.equal[i, j] == pytest.approx(np.mean(a.each == b.each))
            assert alike.kappa[i, j] == pytest.approx(cohen_kappa_score(a.each, b.each))
    assert np.allclose(np.diag(alike.equal), 1) and np.allclose(np.diag(alike.kappa), 1)
    table = agreement_table(found)
    assert table.row_count == 6 and f"{found[0].lost} pictures lost to pgd 0.03" in table.title


def test_channels_that_recover_all_have_no_kappa():
    each = np.ones(40)
    both = [row("oblivious", each, (name, 0.5), PGD) for name in ("fft", "svd")]
    found = recoveries([row("clean", CLEAN), row("oblivious", ATTACKED[0.03], attack=PGD), *both])
    alike = agreement(found)
    assert (alike.equal == 1).all() and np.isnan(alike.kappa).all()


def test_agreement_across_attacks_is_refused():
    with pytest.raises(ValueError, match="one attack"):
        agreement(recoveries(rows()))


def test_transfer_counts_what_the_target_loses():
    held, left = verdicts(20, 0.7), verdicts(21, 0.5)
    target = {"target": {"checkpoint": "t"}}
    made = [row("transfer", held, **target), row("transfer", left, attack=PGD, **target),
            row("transfer", left, attack=PGD, target={"checkpoint": "without a clean row"})]  # fmt: skip
    (one,) = transfer([*made, *rows()])
    assert (one["held"], one["lost"]) == (held.sum(), (held & ~left).sum())
    assert one["target"] == {"checkpoint": "t"} and one["source"] == BASE["network"]
