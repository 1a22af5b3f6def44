"""Rows of attacks x channels against the same computed by hand, and what marks them."""

import pytest
import torch
from torch import nn

from dctnet.robustness.adaptive import bpda, expectation
from dctnet.robustness.attack_plan import NO_CHANNEL, AttackSpec, ChannelSpec, Work, attack_specs, channel_spec, plan
from dctnet.robustness.attack_table import attack_lines, attack_table, outdone
from dctnet.robustness.attacks import ATTACKS, attack, options_of
from dctnet.robustness.channels import create_channel
from dctnet.robustness.evaluation import Evaluation, Settings, adaptive_network
from dctnet.robustness.intervals import wilson
from dctnet.robustness.often_fooled import often_fooled
from tests.test_defence_checks import EPSILON, N, Templates, data

QUICK = {"steps": [1, 5], "unbounded_steps": 30, "queries": 60, "draws": 3}
PGD = AttackSpec("pgd", EPSILON, {"steps": 8})
DEPTH = ChannelSpec("depth", 3.0, {})
NOISE = ChannelSpec("gaussian", 0.1, {})


def evaluation(network=None, settings=None, targets=(), **options):
    settings = settings or Settings(samples=4, batch=10, seed=3, checked=12, check_options=QUICK)
    network = Templates().eval() if network is None else network
    return Evaluation(network, *data(), {"checkpoint": "abc"}, "def", settings, targets, **options)


def by_hand(network, spec, seed=3, batch=10):
    """The pictures of an attack, in batches."""
    pixels, labels = data()
    return torch.cat([
        attack(spec.name, network, part, label, epsilon=spec.epsilon, seed=seed + batch * number, **spec.options)
        for number, (part, label) in enumerate(zip(pixels.split(batch), labels.split(batch), strict=True))
    ])  # fmt: skip


def agrees(row, network, channel, pixels, seed=3):
    """Whether a row counts what one pass over ``pixels`` gives, its distances and its interval."""
    originals, labels = data()
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        changed = torch.cat([channel(part) for part in pixels.split(10)])
    probabilities = network(changed).double().softmax(1)
    hits = probabilities.argmax(1) == labels
    assert row["each"] == "".join(str(int(hit)) for hit in hits)
    assert row["accuracy"] == hits.double().mean().item()
    assert (row["low"], row["high"]) == wilson(int(hits.sum()), N)
    assert row["confidence"] == pytest.approx(probabilities[torch.arange(N), labels].mean().item(), abs=1e-9)
    for name, moved in (("", pixels - originals), ("channel_", changed - originals)):
        assert row[f"{name}l2"] == pytest.approx(moved.flatten(1).norm(dim=1).mean().item(), abs=1e-5)
        assert row[f"{name}linf"] == pytest.approx(moved.flatten(1).abs().amax(1).mean().item(), abs=1e-6)
    return hits.double().mean().item()


@pytest.mark.parametrize("channel", [NO_CHANNEL, DEPTH, NOISE, ChannelSpec("fft", 0.5, {})], ids=lambda spec: spec.name)
def test_clean_and_oblivious_rows_are_those_of_a_direct_computation(channel):
    network, measured = Templates().eval(), evaluation()
    clean = measured.row(Work("clean", channel=channel))
    agrees(clean, network, channel.create(), data()[0])
    assert clean["l2"] == 0
    row = measured.row(Work("oblivious", PGD, channel))
    accuracy = agrees(row, network, channel.create(), by_hand(network, PGD))
    assert row["linf"] <= EPSILON + 1e-6 and accuracy < clean["accuracy"]


@pytest.mark.parametrize("channel, attacked", [
    (DEPTH, lambda network, channel: nn.Sequential(bpda(channel), network)),
    (ChannelSpec("fft", 0.5, {}), lambda network, channel: nn.Sequential(channel, network)),
    (NOISE, lambda network, channel: expectation(network, channel, 4)),
    (NO_CHANNEL, lambda network, channel: network),
], ids=["bpda", "gradient", "expectation", "none"])  # fmt: skip
def test_adaptive_rows_attack_network_and_channel_together(channel, attacked):
    network = Templates().eval()
    known = attacked(network, channel.create()).eval()
    row = evaluation().row(Work("adaptive", PGD, channel))
    agrees(row, network, channel.create(), by_hand(known, PGD))
    assert row["linf"] <= EPSILON + 1e-6


def test_what_an_attacker_differentiates():
    """The gradient through each channel, against that of the parts."""
    network, (pixels, _) = Templates().eval(), data()

    def gradient(attacked):
        inputs = pixels.clone().requires_grad_()
        attacked(inputs)[:, 0].sum().backward()
        return inputs.grad

    depth = create_channel("depth", 3)
    expected = pixels.clone()
    expected = depth(expected).requires_grad_()
    network(expected)[:, 0].sum().backward()
    torch.testing.assert_close(
        gradient(adaptive_network(network, depth, 4)), expected.grad
    )  # straight through the rounding
    median = create_channel("median", 3)
    torch.testing.assert_close(
        gradient(adaptive_network(network, median, 4)), gradient(lambda inputs: network(median(inputs)))
    )
    assert (
        adaptive_network(network, create_channel("gaussian", 0.0), 4) is network
    )  # at the lossless strength there is none


def test_an_expectation_has_the_same_gradient_for_less_memory():
    """What a pass keeps for its gradient does not grow with the draws, but for inputs and logits."""
    network, (pixels, labels) = Templates().eval(), data()
    network.requires_grad_(False)
    noise, found, kept = create_channel("gaussian", 0.1), [], []
    for attacked in (adaptive_network(network, noise, 5), expectation(network, noise, 5)):
        inputs, sizes = pixels.clone().requires_grad_(), []
        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            loss = nn.functional.cross_entropy(attacked(inputs), labels)
        (gradient,) = torch.autograd.grad(loss, inputs)
        found.append(gradient)
        kept.append(sum(sizes))
    assert torch.equal(*found) and found[0].abs().max() > 0
    assert kept[0] < kept[1] / 2


def test_a_random_channel_is_drawn_as_often_as_asked_in_each_step(monkeypatch):
    calls = []
    kind = type(create_channel("gaussian"))
    noise = kind.noise
    monkeypatch.setattr(kind, "noise", lambda self, pixels: calls.append(len(pixels)) or noise(self, pixels))
    fgsm = AttackSpec("fgsm", EPSILON, {})
    measured = evaluation(settings=Settings(samples=7, batch=N, trials=5))
    measured.row(Work("clean", channel=NOISE))
    assert calls == [N] * 5  # each trial once
    calls.clear()
    measured.row(Work("adaptive", fgsm, NOISE))
    passes = len(calls) - 5
    assert passes > 0 and passes % 7 == 0 and set(calls) == {N}
    calls.clear()
    measured.row(Work("oblivious", fgsm, NOISE))
    assert calls == [N] * 5


def test_the_majority_of_trials_decides():
    pixels, labels = data()
    loud, network = ChannelSpec("gaussian", 0.5, {}), Templates().eval()
    row = evaluation(settings=Settings(trials=9, batch=N, seed=0)).row(Work("clean", channel=loud))
    channel = loud.create()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        votes = torch.stack([network(channel(pixels)).softmax(1) for _ in range(9)])
    counts = nn.functional.one_hot(votes.argmax(2), 4).sum(0) + 1e-3 * votes.sum(0)  # of equal counts the likelier
    assert row["each"] == "".join(str(int(hit)) for hit in counts.argmax(1) == labels)
    assert row["confidence"] == pytest.approx(votes.mean(0)[torch.arange(N), labels].mean().item(), abs=1e-6)


def test_a_row_leaves_random_numbers_and_weights_as_they_were():
    measured = evaluation()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = [measured.row(Work(kind, PGD, NOISE))["each"] for kind in ("oblivious", "adaptive")]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in measured.network.parameters())
    torch.manual_seed(6)
    assert [evaluation().row(Work(kind, PGD, NOISE))["each"] for kind in ("oblivious", "adaptive")] == first


def test_an_attack_is_made_once_for_all_channels(monkeypatch):
    made = []
    monkeypatch.setattr(
        "dctnet.robustness.evaluation.attack",
        lambda name, network, pixels, labels, **options: made.append(name) or pixels,
    )
    measured = evaluation(settings=Settings(batch=N))
    for channel in (NO_CHANNEL, DEPTH, NOISE):
        measured.row(Work("oblivious", PGD, channel))
    measured.row(Work("adaptive", PGD, NO_CHANNEL))
    assert made == ["pgd"]
    measured.row(Work("oblivious", PGD._replace(options={"steps": 9}), DEPTH))
    measured.row(Work("adaptive", PGD, DEPTH))
    assert len(made) == 3


def test_a_failed_check_marks_the_row():
    """Logits times 50,000 have no gradient left: PGD does nothing, and the list says so."""
    honest, saturated = evaluation(), evaluation(Templates(scale=5e4).eval())
    works = plan([PGD], [NO_CHANNEL, DEPTH], adaptive=True)
    marks = {}
    for name, measured in (("honest", honest), ("saturated", saturated)):
        rows = [measured.row(work) for work in works]
        lines = attack_lines(rows)
        marks[name] = [line["mark"] for line in lines]
        assert [line["channel"] for line in lines] == ["none", "depth"]
        if name == "saturated":
            assert all(line["adaptive"]["accuracy"] == 1 for line in lines)
            assert {"gradients", "unbounded"} <= set(lines[0]["checks"]["failed"])
            assert any(line.startswith("MARKED") for line in lines[0]["checks"]["list"])
            table, remarks = attack_table(rows, "title")
            assert [cell.endswith("*") for cell in table.columns[5].cells] == [True, True]
            assert len(remarks) == 2 and "gradients" in remarks[0] and "no measure of robustness" in remarks[0]
        else:
            assert all(line["checks"]["passed"] and line["checks"]["checked"] == 12 for line in lines)
    assert marks == {"honest": ["", ""], "saturated": ["*", "*"]}


def test_an_adaptive_attack_that_does_nothing_is_marked():
    idle = AttackSpec("pgd", 8 / 255, {"steps": 1, "step": 1e-9, "random_start": False})
    measured = evaluation()
    rows = [measured.row(work) for work in plan([idle], [NO_CHANNEL], adaptive=True)]
    (line,) = attack_lines(rows)
    assert line["adaptive"]["accuracy"] == 1 and line["mark"] == "^"
    assert attack_table(rows, "title")[1][0].startswith("^ the adaptive attack moved nothing")
    adaptive = next(row for row in rows if row["key"]["kind"] == "adaptive")
    oblivious = next(row for row in rows if row["key"]["kind"] == "oblivious")
    weak = [*rows[:-1], adaptive | {"linf": 0.1}]
    weak[weak.index(oblivious)] = oblivious | {"accuracy": 0.5}
    assert attack_lines(weak)[0]["mark"] == "^"


def test_an_attack_without_a_budget_that_leaves_pictures_is_marked():
    """Of few steps, on a network most of whose margins are wide; and one whose pictures come back to rounding."""
    measured = evaluation()
    short = AttackSpec("cw", None, {"steps": 1, "search_steps": 1})
    rows = [measured.row(work) for work in plan([short], [NO_CHANNEL], adaptive=True)]
    (line,) = attack_lines(rows)
    assert line["adaptive"]["accuracy"] > 0.02 and line["mark"] == "^"
    assert "had no budget and left pictures right" in attack_table(rows, "title")[1][0]
    line["adaptive"]["accuracy"] = 0.0
    assert attack_lines(rows)[0]["mark"] == ""
    idle = line["adaptive"] | {"accuracy": 0.01, "linf": 2e-7}
    assert attack_lines([row if row["key"]["kind"] != "adaptive" else idle for row in rows])[0]["mark"] == "^"


def test_an_attack_that_another_of_its_budget_undercuts_is_marked():
    measured = evaluation()
    fgsm, other = AttackSpec("fgsm", EPSILON, {}), AttackSpec("fgsm", 2 * EPSILON, {})
    rows = [measured.row(work) for work in plan([PGD, fgsm, other], [NO_CHANNEL], adaptive=True)]
    left = {("pgd", EPSILON): 0.25, ("fgsm", EPSILON): 0.5, ("fgsm", 2 * EPSILON): 0.5}
    for row in rows:
        if row["key"]["kind"] == "checks":
            row["robust"] = row["black_box"] = 1.0
        elif row["key"]["kind"] != "clean":
            row |= {"accuracy": left[row["key"]["attack"], row["key"]["epsilon"]], "linf": EPSILON}
    marks = {(line["attack"], line["epsilon"]): line["mark"] for line in attack_lines(rows)}
    assert marks == {("pgd", EPSILON): "", ("fgsm", EPSILON): "^", ("fgsm", 2 * EPSILON): ""}


def test_a_list_of_few_pictures_is_none():
    measured = evaluation()
    rows = [measured.row(work) for work in plan([PGD], [NO_CHANNEL], adaptive=True)]
    assert attack_lines(rows)[0]["mark"] == ""
    checks = next(row for row in rows if row["key"]["kind"] == "checks")
    for count, mark in ((0, ""), (3, "?"), (4, "")):
        checks["checked"] = count
        assert attack_lines(rows)[0]["mark"] == mark


def test_an_adaptive_attack_that_does_less_than_the_checks_is_marked():
    """One short step, where PGD with the same budget takes most of the same pictures; the oblivious attack is as weak."""
    short = AttackSpec("pgd", EPSILON, {"steps": 1, "step": 0.05, "random_start": False})
    measured = evaluation()
    for channel in (NO_CHANNEL, DEPTH):
        rows = [measured.row(work) for work in plan([short], [channel], adaptive=True)]
        (line,) = attack_lines(rows)
        checks = line["checks"]
        assert checks["passed"] and checks["robust"] < 0.7 and line["adaptive"]["accuracy"] > 0.8
        assert line["adaptive"]["accuracy"] <= line["oblivious"]["accuracy"] and line["mark"] == "^"
        assert "list of checks" in attack_table(rows, "title")[1][0]
        # It says on which pictures: those that are right behind the channel, the first of them.
        clean = measured.row(Work("clean", channel=channel))["each"]
        assert checks["which"] == [place for place in range(N) if clean[place] == "1"][:12]
        assert checks["clean"] == 1 and checks["robust"] <= checks["black_box"] and checks["tolerance"] == 1 / 12
        whole = [measured.row(work) for work in plan([PGD], [channel], adaptive=True)]
        assert attack_lines(whole)[0]["mark"] == ""


@pytest.mark.parametrize("each, change, key, marked", [
    ("1111110000", {}, {}, True),
    ("1110000000", {}, {}, False),  # 3 of 4 on the checked ones, and a tolerance of 1/4
    ("0001111111", {}, {}, False),  # all right, but those that were checked
    ("1111000000", {"robust": 1.0, "black_box": 0.5}, {}, True),
    ("1111000000", {}, {"epsilon": None}, False),
    ("1111000000", {}, {"samples": 4}, False),  # of 4 looks each right the interval begins at 0.51
    ("1111000000", {"robust": 0.2}, {"samples": 4}, True),
    ("1111000000", {"which": []}, {}, False),
])  # fmt: skip
def test_what_is_outdone_is_decided_on_the_same_pictures(each, change, key, marked):
    checks = {"which": [0, 1, 2, 3], "robust": 0.5, "black_box": 1.0, "tolerance": 0.25} | change
    assert outdone({"key": {"epsilon": 0.1} | key, "each": each}, checks) is marked
    assert not outdone({"key": {"epsilon": 0.1}, "each": each}, None)
    assert not outdone({"key": {"epsilon": 0.1}, "each": each}, {"passed": True, "checked": 4})  # rows that say less


CW = AttackSpec("cw", None, {"steps": 40, "search_steps": 2, "step": 0.02, "initial_const": 1.0})


def test_the_nearest_picture_behind_noise_fools_looks_that_are_drawn_anew():
    """The attack alone keeps what fooled one lucky mean; distances are those of what is kept in its place."""
    network, (pixels, labels), noise = Templates().eval(), data(), NOISE.create()
    settings = Settings(samples=4, batch=10, seed=3, trials=9)
    row = evaluation(settings=settings).row(Work("adaptive", CW, NOISE))
    attacked = expectation(network, noise, 4)
    lucky = nn.Sequential(noise, network)(by_hand(attacked, CW)).argmax(1) == labels
    assert lucky.double().mean() > 0.25 and row["accuracy"] < 0.09
    looked = nn.Sequential(noise, network).eval()
    parts = [
        often_fooled("cw", attacked, looked, part, label, epsilon=None, seed=3 + 10 * number, **CW.options)
        for number, (part, label) in enumerate(zip(pixels.split(10), labels.split(10), strict=True))
    ]
    moved = (torch.cat(parts) - pixels).flatten(1).norm(dim=1)
    assert row["l2"] == pytest.approx(moved.mean().item(), rel=1e-5)


@pytest.mark.parametrize("spec, channel, kind, told", [
    (CW, NOISE, "adaptive", True),
    (AttackSpec("deepfool_linf", 0.05, {}), NOISE, "adaptive", True),
    (CW, NOISE, "oblivious", False),
    (CW, DEPTH, "adaptive", False),
    (CW, NO_CHANNEL, "adaptive", False),
    (CW, NOISE._replace(strength=0.0), "adaptive", False),
    (PGD, NOISE, "adaptive", False),
    (CW, NOISE, "checks", False),
], ids=str)  # fmt: skip
def test_only_rows_of_the_nearest_picture_behind_noise_say_how_often_it_fools(spec, channel, kind, told):
    key = evaluation().key(Work(kind, spec, channel))
    assert ("often_fooled" in key) is told
    if told:
        assert set(key["often_fooled"]) == {"leads", "looks", "factors"}


def test_without_a_list_of_checks_rows_are_marked_too():
    measured = evaluation(settings=Settings(batch=N, checked=0))
    works = plan([PGD], [NO_CHANNEL], adaptive=True, checks=False)
    rows = [measured.row(work) for work in works]
    assert [line["mark"] for line in attack_lines(rows)] == ["?"] and "--checks" in attack_table(rows, "t")[1][0]


def test_a_network_that_is_always_wrong_is_marked():
    class Wrong(Templates):
        def forward(self, pixels):
            return super().forward(pixels).roll(1, 1)

    row = evaluation(Wrong().eval()).row(Work("checks", PGD, NO_CHANNEL))
    assert not row["passed"] and row["failed"] == ["no picture is right"]


def test_transfer_rows_are_those_of_the_other_network():
    other = Templates(scale=1.0).eval()
    other.templates.data.add_(0.3 * torch.rand(other.templates.shape, generator=torch.Generator().manual_seed(9)))
    measured = evaluation(targets=[(other, {"checkpoint": "other"})])
    agrees(measured.row(Work("transfer", target=0)), other, create_channel("none"), data()[0])
    agrees(
        measured.row(Work("transfer", PGD, target=0)), other, create_channel("none"), by_hand(Templates().eval(), PGD)
    )


def test_the_plan_has_each_row_once_and_checks_of_a_budget_once():
    channels = [NO_CHANNEL, DEPTH, NOISE]
    attacks = [PGD, AttackSpec("fgsm", EPSILON, {}), AttackSpec("cw", None, {})]
    works = plan(attacks, channels, adaptive=True, targets=2)
    kinds = [work.kind for work in works]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "clean": 3, "oblivious": 9, "adaptive": 9, "transfer": 2 + 6, "checks": 6,  # fgsm and pgd have one budget
    }  # fmt: skip
    keys = [str(evaluation(targets=[(None, {"a": 1}), (None, {"a": 2})]).key(work)) for work in works]
    assert len(set(keys)) == len(keys)
    assert {work.kind for work in plan(attacks, channels, adaptive=False)} == {"clean", "oblivious"}


@pytest.mark.parametrize("change", [
    {"samples": 5}, {"trials": 2}, {"batch": 11}, {"seed": 4}, {"spec": PGD._replace(epsilon=0.05)},
    {"spec": PGD._replace(options={"steps": 9})}, {"spec": AttackSpec("pgd_l2", EPSILON, {"steps": 8})},
    {"channel": NOISE._replace(strength=0.2)}, {"channel": ChannelSpec("laplace", 0.1, {})}, {"kind": "oblivious"},
])  # fmt: skip
def test_whatever_changes_a_row_changes_its_key(change):
    def key(kind="adaptive", spec=PGD, channel=NOISE, **settings):
        return evaluation(settings=Settings(**({"samples": 4, "batch": 10, "seed": 3} | settings))).key(
            Work(kind, spec, channel)
        )

    assert key() == key() and key() != key(**change)


def test_defaults_that_are_given_are_the_same_row():
    options = options_of("pgd") | {"steps": 8}
    key = evaluation().key(Work("oblivious", PGD._replace(options=options), DEPTH))
    assert key == evaluation().key(Work("oblivious", PGD, DEPTH))
    assert "samples" not in key and key["options"]["restarts"] == 1


def test_progress_is_told_for_each_batch():
    seen = []
    evaluation(tick=lambda done, count: seen.append((done, count))).row(Work("oblivious", PGD, DEPTH))
    assert seen == [(0, N), (10, N), (20, N)]


def test_budgets_of_attacks():
    both = {"linf": [0.01, 0.02], "l2": [0.5]}
    assert [spec.epsilon for spec in attack_specs("fgsm", {}, both)] == [0.01, 0.02]
    assert [spec.epsilon for spec in attack_specs("cw", {"steps": 3}, both)] == [None]
    assert attack_specs("cw", {"epsilon": [0.5, None]}, both)[0] == AttackSpec("cw", 0.5, {})
    assert attack_specs("pgd", {"epsilon": 0.3}, both) == [AttackSpec("pgd", 0.3, {})]
    assert AttackSpec("cw", None, {}).budget() == ("l2", 0.5) and ATTACKS["cw"].minimal
    assert channel_spec("depth", None, {}) == ChannelSpec("depth", 4.0, {})


@pytest.mark.parametrize("call, says", [
    (lambda: attack_specs("nothing", {}, {}), "nothing"),
    (lambda: attack_specs("pgd", {"step_size": 1}, {"linf": [0.1]}), "step_size.*steps"),
    (lambda: attack_specs("pgd", {"epsilon": None}, {"linf": [0.1]}), "budget"),
    (lambda: attack_specs("pgd", {"epsilon": -1}, {"linf": [0.1]}), "greater than 0"),
    (lambda: channel_spec("fft", 2.0, {}), "share"),
    (lambda: channel_spec("jpeg", 75, {"color": 1}), "color"),
    (lambda: evaluation(settings=Settings(batch=0)), "batch"),
    (lambda: evaluation(settings=Settings(trials=0)), "trials"),
])  # fmt: skip
def test_what_cannot_be_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
