"""Natural, adversarial and recovered pictures: who belongs where, by hand, and medians by an explicit Hessian."""

import math
import statistics

import pytest
import torch
from torch.nn import functional as F

from dctnet.robustness.attack_plan import NO_CHANNEL, ChannelSpec, Work, plan
from dctnet.robustness.attacks import attack
from dctnet.robustness.channels import create_channel
from dctnet.robustness.curvature_groups import median_interval
from dctnet.robustness.curvature_table import curvature_table
from dctnet.robustness.evaluation import Settings
from dctnet.robustness.recovered_pictures import curvature_of, natural_and_adversarial, recovered, taken
from tests.test_defence_checks import EPSILON, Templates, data
from tests.test_evaluation import PGD, evaluation

NOISE = ChannelSpec("gaussian", 0.15, {})


def attacked():
    """Some pictures are wrong at first, some are not taken."""
    network, (pixels, labels) = Templates(scale=1.0).eval(), data()
    labels = labels.clone()
    labels[:3] = (labels[:3] + 1) % 4
    return network, pixels, attack("pgd", network, pixels, labels, epsilon=EPSILON, steps=8), labels


def seen(network, pixels):
    with torch.no_grad():
        return [int(network(picture[None]).argmax()) for picture in pixels]


@pytest.mark.parametrize("count", [None, 4, 100])
def test_taken_are_the_first_that_were_right_and_are_wrong(count):
    network, pixels, moved, labels = attacked()
    before, after = seen(network, pixels), seen(network, moved)
    lost = [k for k in range(len(labels)) if before[k] == labels[k] != after[k]]
    assert 6 < len(lost) < len(labels) - 3 and any(before[k] != labels[k] for k in range(len(labels)))
    lost = lost[:count]
    found = taken(network, pixels, moved, labels, count, batch=5)
    assert torch.equal(found.natural, pixels[lost]) and torch.equal(found.adversarial, moved[lost])
    assert torch.equal(found.labels, labels[lost]) and found.wrong.tolist() == [after[k] for k in lost]


def test_recovered_are_those_that_are_right_behind_the_channel_and_the_seed_decides():
    network, *rest = attacked()
    found = taken(network, *rest)
    channel = NOISE.create()
    state = torch.get_rng_state()
    group = recovered(network, found, channel, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(group.pixels, recovered(network, found, channel, seed=3).pixels)
    assert not torch.equal(group.pixels, recovered(network, found, channel, seed=4).pixels)
    assert group.members.tolist() == [a == b for a, b in zip(seen(network, group.pixels), found.labels, strict=True)]
    assert 0 < group.members.sum() < len(found.labels)


def test_medians_are_those_of_gradients_and_explicit_hessians():
    network, *rest = attacked()
    found = taken(network, *rest, count=9)
    channel = create_channel("gaussian", 0.15)
    for group in (*natural_and_adversarial(found), recovered(network, found, channel, seed=3)):
        row = curvature_of(network, found, group, batch=4)
        chosen = group.members.nonzero()[:, 0].tolist()
        samples = {("l2", "original"): [], ("l2", "adversarial"): [], ("eigenvalue 1", "original"): []}
        for k in chosen:
            one = group.pixels[k : k + 1].double().requires_grad_()
            double = Templates(scale=1.0).double().eval()
            for towards, classes in (("original", found.labels), ("adversarial", found.wrong)):
                loss = F.cross_entropy(double(one), classes[k : k + 1])
                samples["l2", towards].append(torch.autograd.grad(loss, one)[0].norm().item())
            hessian = torch.autograd.functional.hessian(
                lambda x, double=double, k=k: F.cross_entropy(double(x), found.labels[k : k + 1]), one.detach()
            )
            samples["eigenvalue 1", "original"].append(torch.linalg.eigvalsh(hessian.view(192, 192)).max().item())
        moved = [(group.pixels[k] - found.natural[k]).norm().item() for k in chosen]
        assert row["pictures"] == len(chosen) and row["distance"] == pytest.approx(sorted(moved)[(len(moved) - 1) // 2])
        assert {(one["quantity"], one["towards"]) for one in row["medians"]} == set(samples)
        for one in row["medians"]:
            expected = median_interval(samples[one["quantity"], one["towards"]])
            expected = tuple(None if math.isnan(value) else pytest.approx(value, rel=1e-3) for value in expected)
            assert one["median"] == pytest.approx(statistics.median(samples[one["quantity"], one["towards"]]), rel=1e-3)
            assert (one["median"], one["low"], one["high"]) == expected


def test_a_group_of_none_and_of_few_has_no_numbers_that_are_none():
    network, *rest = attacked()
    found = taken(network, *rest, count=3)
    nobody = natural_and_adversarial(found)[0]._replace(members=torch.zeros(3, dtype=torch.bool))
    assert curvature_of(network, found, nobody) == {"group": "natural", "pictures": 0, "distance": None, "medians": []}
    row = curvature_of(network, found, natural_and_adversarial(found)[0])
    assert all(one["low"] is None and one["high"] is None and one["median"] > 0 for one in row["medians"])
    empty = taken(network, rest[0], rest[0], rest[2])  # an attack that does nothing takes none
    assert len(empty.labels) == 0
    assert curvature_of(network, empty, recovered(network, empty, NOISE.create()))["pictures"] == 0


def test_rows_of_an_evaluation_and_their_table():
    measured = evaluation(settings=Settings(batch=10, seed=3, curvature=5))
    works = plan([PGD], [NO_CHANNEL, NOISE], adaptive=False, curvature=True)
    assert [work.kind for work in works] == ["clean"] * 2 + ["oblivious"] * 2 + ["curvature"] * 2
    rows = [measured.row(work) for work in works]
    network, (pixels, labels) = measured.network, data()
    found = taken(network, pixels, measured.perturbed(Work("oblivious", PGD)), labels, 5)
    assert len(found.labels) == 5
    expected = [curvature_of(network, found, group) for group in natural_and_adversarial(found)]
    assert rows[4]["groups"] == expected
    assert rows[5]["groups"] == [curvature_of(network, found, recovered(network, found, NOISE.create(), seed=4))]
    table = curvature_table(rows, "title")
    assert table.row_count == 3 and list(table.columns[2].cells)[:2] == ["natural (5)", "adversarial (5)"]
    assert list(table.columns[2].cells)[2].startswith("recovered, gaussian 0.15 (")
    keys = {
        str(evaluation(settings=Settings(batch=10, seed=seed, curvature=count)).key(works[-1]))
        for seed, count in ((3, 5), (3, 6), (4, 5))
    }
    assert len(keys) == 3
    assert "curvature" not in measured.key(works[2])  # other rows do not depend on it
