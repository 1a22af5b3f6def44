"""`dctnet attack`: rows, resuming, pictures, and one line where it cannot work."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dctnet.cli import main
from dctnet.data.module import evaluation_transform
from dctnet.jpeg.reader import read_jpeg
from dctnet.report.figures import attacked_picture, recovery_windows
from dctnet.robustness import attack_arguments
from dctnet.robustness.evaluation import Evaluation
from dctnet.robustness.pixel_classifier import load_pixel_classifier
from dctnet.robustness.subject import (
    evenly,
    labelled_files,
    load_pictures,
    pretrained_subject,
    trained_subject,
    weights_digest,
)
from dctnet.training.classifier import Classifier

CLASSES = ("blue", "green", "red")
FAST = ["--attacks", "fgsm", "pgd", "--options", "{pgd: {steps: 3}}", "--channels", "fft:0.25", "depth", "gaussian:0.02",
        "--limit", "12", "--check_options", "{steps: [1, 3], unbounded_steps: 5, queries: 20, draws: 2}", "--checks", "4",
        "--samples", "2", "--device", "cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of coloured pictures by class, and checkpoints of small networks, the first of which tells them apart."""
    place = tmp_path_factory.mktemp("attack")
    generator = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (place / "data" / "val" / name).mkdir(parents=True)
        for number in range(6):
            picture = generator.normal(110, 25, (36, 40, 3))
            picture[..., 2 - label] += 40
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(
                place / "data" / "val" / name / f"{number}.jpg", quality=90
            )
    for number, size in enumerate((32, 32, 40)):
        torch.manual_seed(number)
        classifier = Classifier(
            "bandlimited_lenet", list(CLASSES), options={"width": 0.5}, block_size=1, image_size=size, resize_size=36
        )
        if number < 2:
            train(classifier, place / "data" / "val")
        content = {"hyper_parameters": dict(classifier.hparams), "state_dict": classifier.state_dict()}
        torch.save(content, place / f"{number}.ckpt")
    return place


def train(classifier, folder):
    transform = evaluation_transform(36, 32, 1)
    planes, labels = [], []
    for label, name in enumerate(CLASSES):
        for path in sorted((folder / name).iterdir()):
            planes.append(transform(read_jpeg(path)))
            labels.append(label)
    batch = type(planes[0])(*(torch.stack(plane) for plane in zip(*planes, strict=True)))
    optimizer = torch.optim.Adam(classifier.network.parameters(), 0.005)
    for _ in range(25):
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier.network(batch), torch.tensor(labels)).backward()
        optimizer.step()


def run(place, out, *arguments, checkpoint="0.ckpt"):
    return main(["attack", str(place / checkpoint), str(place / "data"), "--out", str(out), *FAST, *arguments])


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def done(place):
    out = place / "done" / "rows.jsonl"
    assert run(place, out, "--adaptive", "--targets", str(place / "1.ckpt"), "--analysis") == 0
    return out


def test_rows_of_a_whole_table(place, done):
    rows = rows_of(done)
    kinds = [row["key"]["kind"] for row in rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "clean": 4, "oblivious": 8, "adaptive": 8, "checks": 4, "transfer": 3
    }  # fmt: skip
    clean = next(row for row in rows if row["key"]["kind"] == "clean" and row["key"]["channel"] == "none")
    assert clean["accuracy"] >= 0.75 and clean["network"] == "bandlimited_lenet" and clean["seconds"] >= 0
    attacked = {
        row["key"]["attack"]: row
        for row in rows
        if row["key"]["kind"] == "oblivious" and row["key"]["channel"] == "none"
    }
    assert attacked["pgd"]["accuracy"] < clean["accuracy"]
    assert attacked["pgd"]["key"]["epsilon"] == 8 / 255 and attacked["pgd"]["linf"] <= 8 / 255 + 1e-6  # thumbnails
    checks = [row for row in rows if row["key"]["kind"] == "checks"]
    assert all(row["list"] and row["passed"] == (not row["failed"]) for row in checks)
    assert [row["key"]["samples"] for row in checks if "samples" in row["key"]] == [2]


def test_the_clean_accuracy_is_that_of_the_validation_transform(place, done):
    network = load_pixel_classifier(place / "0.ckpt")
    subject = trained_subject(place / "0.ckpt")
    pictures = load_pictures(subject, place / "data", 12)
    classifier = network.classifier
    transform = evaluation_transform(36, 32, 1)
    found = []
    for label in range(3):
        for number in range(4):
            image = read_jpeg(place / "data" / "val" / CLASSES[label] / f"{number}.jpg")
            with torch.no_grad():
                logits = classifier(transform(image).map(lambda plane: plane[None]))
            found.append(str(int(logits.argmax() == label)))
    assert pictures.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    clean = next(row for row in rows_of(done) if row["key"]["kind"] == "clean" and row["key"]["channel"] == "none")
    assert clean["each"] == "".join(found)


def test_the_table_and_the_lines_of_progress(place, done, capsys):
    assert run(place, done, "--adaptive") == 0
    out, err = capsys.readouterr()
    assert "clean %" in out and "adaptive %" in out and f"rows in {done}" in out
    rows = rows_of(done)
    clean = next(row for row in rows if row["key"]["kind"] == "clean" and row["key"]["channel"] == "fft")
    assert f"{100 * clean['accuracy']:.1f} [{100 * clean['low']:.1f}, {100 * clean['high']:.1f}]" in out
    assert "24/24 done" in err and "adaptive, pgd 0.03137, gaussian 0.02" in err
    failed = [row for row in rows if row["key"]["kind"] == "checks" and not row["passed"]]
    assert out.count("its adaptive figure is no measure of robustness") == len(failed)
    for row in rows:
        if row["key"]["kind"] == "checks":
            assert row["list"] and all(line in out for line in row["list"])
    assert "checks of gaussian 0.02 within 0.03137 (linf), " in out


def test_the_ways_to_differentiate_a_channel_are_compared(place, done, tmp_path, capsys):
    """A way that is in the file takes part in the table of a command that did not ask for it."""
    out = tmp_path / "rows.jsonl"
    out.write_bytes(done.read_bytes())
    arguments = ["--no-pictures", "--adaptive", "--attacks", "pgd", "--channels", "depth:3"]
    assert run(place, out, *arguments, "--backward", "{depth: smooth}") == 0
    capsys.readouterr()
    assert run(place, out, *arguments) == 0
    printed = capsys.readouterr().out
    assert "depth 3, smooth backward" in printed and "checks of depth 3, smooth backward within" in printed


def test_a_second_run_measures_nothing(place, done, monkeypatch, capsys):
    monkeypatch.setattr(Evaluation, "row", lambda self, work: pytest.fail(f"measured again: {work}"))
    monkeypatch.setattr(Evaluation, "perturbed", lambda self, work: pytest.fail("attacked again"))
    before = done.read_bytes()
    capsys.readouterr()
    assert run(place, done, "--adaptive", "--targets", str(place / "1.ckpt"), "--analysis") == 0
    assert done.read_bytes() == before
    out = capsys.readouterr().out
    assert out.count("agreement (kappa)") == 2 and out.count("transfer to") == 3


def test_a_killed_run_goes_on_and_gives_the_same_rows(place, done, tmp_path, monkeypatch):
    row, measured = Evaluation.row, []

    def killed(self, work):
        if len(measured) == 6:
            raise KeyboardInterrupt
        measured.append(work)
        return row(self, work)

    out = tmp_path / "rows.jsonl"
    monkeypatch.setattr(Evaluation, "row", killed)
    with pytest.raises(KeyboardInterrupt):
        run(place, out, "--no-pictures")
    assert len(rows_of(out)) == 6
    out.write_bytes(out.read_bytes()[:-100])  # the last row cut in its middle
    first, measured[:] = out.read_bytes().rpartition(b"\n")[0], []
    monkeypatch.setattr(Evaluation, "row", lambda self, work: measured.append(work) or row(self, work))
    assert run(place, out, "--no-pictures") == 0
    assert len(measured) == 12 - 5 and out.read_bytes().startswith(first)
    whole = {json.dumps(one["key"], sort_keys=True): one for one in rows_of(done)}
    for one in rows_of(out):
        other = whole[json.dumps(one["key"], sort_keys=True)]
        assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in other.items() if k != "seconds"}


def test_several_strengths_are_drawn_against_accuracy(place, done, tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(done.read_bytes())
    channels = ["--channels", "fft:0.25", "fft:0.6", "--attacks", "fgsm"]
    assert run(place, out, "--no-pictures", "--adaptive", "--analysis", *channels) == 0
    shown = capsys.readouterr().out
    assert (
        "right (%): fft" in shown and sorted(path.name for path in (tmp_path / "rows").iterdir())[0] == "robustness.png"
    )
    adaptive = [row for row in rows_of(out) if row["key"]["kind"] == "adaptive" and row["key"]["attack"] == "fgsm"]
    share = next(row["accuracy"] for row in adaptive if row["key"]["strength"] == 0.6)
    line = next(line for line in shown[shown.index("right (%): fft") :].splitlines() if "fgsm" in line)
    assert f"{100 * share:.1f}" in line.split("│")[4]
    with Image.open(tmp_path / "rows" / "robustness.png") as image:
        assert np.asarray(image.convert("RGB")).std() > 10


def test_curvature_is_measured_once_and_printed(place, done, tmp_path, monkeypatch, capsys):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(done.read_bytes())
    before = len(rows_of(out))
    monkeypatch.setenv("COLUMNS", "200")
    assert run(place, out, "--no-pictures", "--curvature", "5") == 0
    rows = rows_of(out)[before:]
    assert [(row["key"]["attack"], row["key"]["channel"], row["key"]["curvature"]) for row in rows] == [
        (attack, channel, 5) for attack in ("fgsm", "pgd") for channel in ("none", "fft", "depth", "gaussian")
    ]
    lost = {}
    for row in rows_of(done):
        if row["key"]["kind"] in ("clean", "oblivious") and row["key"]["channel"] == "none":
            lost[row["key"].get("attack", "clean")] = row["each"]
    for row in rows:
        taken = sum(
            was == "1" and now == "0" for was, now in zip(lost["clean"], lost[row["key"]["attack"]], strict=True)
        )
        names = [group["group"] for group in row["groups"]]
        assert names == (["natural", "adversarial"] if row["key"]["channel"] == "none" else ["recovered"])
        assert all(group["pictures"] <= min(5, taken) for group in row["groups"])
        if len(names) == 2:
            assert [group["pictures"] for group in row["groups"]] == [min(5, taken)] * 2 and taken > 0
    shown = capsys.readouterr().out
    assert "gradients and curvature of the loss" in shown and f"adversarial ({min(5, taken)})" in shown
    monkeypatch.setattr(Evaluation, "row", lambda self, work: pytest.fail(f"measured again: {work}"))
    assert run(place, out, "--no-pictures", "--curvature", "5") == 0


@pytest.mark.parametrize("change, rows", [
    (["--seed", "1"], 12), (["--limit", "9"], 12), (["--channels", "fft:0.5"], 3), (["--epsilon_linf", "4/255"], 8),
    (["--options", "{pgd: {steps: 4}}"], 4), (["--attacks", "fgsm"], 0), (["--channel_options", "{fft: {mask: radial}}"], 3),
    (["--adaptive", "--backward", "{depth: smooth}"], 3), (["--adaptive", "--backward", "{depth: identity}"], 0),
])  # fmt: skip
def test_a_changed_option_is_a_new_row(place, done, tmp_path, change, rows):
    out = tmp_path / "rows.jsonl"
    out.write_bytes(done.read_bytes())
    before = len(rows_of(out))
    assert run(place, out, "--no-pictures", *change) == 0
    assert len(rows_of(out)) - before == rows


def test_another_checkpoint_and_another_file_of_a_picture_are_new_rows(place, done, tmp_path):
    first, second = trained_subject(place / "0.ckpt"), trained_subject(place / "1.ckpt")
    assert first.identity != second.identity
    digest = load_pictures(first, place / "data", 4).digest
    assert digest == load_pictures(second, place / "data", 4).digest != load_pictures(first, place / "data", 5).digest


def test_pictures_show_what_the_rows_say(place, done):
    pictures = sorted(path.name for path in done.with_suffix("").iterdir())
    assert [name.partition("-")[0] for name in pictures] == ["fgsm", "pgd", "windows.png"]
    for name in pictures[:2]:
        with Image.open(done.with_suffix("") / name) as image:
            shown = np.asarray(image.convert("RGB"))
        assert shown.shape[0] > 600 and shown.shape[1] > 5 * 250  # original, adversarial and three channels
        below = shown[int(0.6 * shown.shape[0]) :]
        columns = np.array_split(below, 5, axis=1)
        assert (columns[0] > 250).mean() > 0.99  # the original does not differ from itself
        assert all(column.std() > 20 for column in columns[1:])


def test_the_figure_of_pictures_magnifies_differences():
    original = np.full((8, 8, 3), 0.5)
    changed = original.copy()
    changed[2:4, 2:4] += 0.01
    png = io.BytesIO()
    attacked_picture([(original, "one $"), (changed, "two")], "a title $", png)
    shown = np.asarray(Image.open(png).convert("RGB")).astype(int)
    below = shown[shown.shape[0] // 2 :, shown.shape[1] // 2 :]
    gray = (abs(below - 128) <= 2).all(2).mean()
    white = (below > 250).all(2).mean()
    assert gray > 0.2 and white > 0.02  # 1/2 where nothing differs, and the greatest difference at the end of the range
    above = shown[: shown.shape[0] // 2, : shown.shape[1] // 2]
    assert (abs(above - 128) <= 2).all(2).mean() > 0.2


def test_rows_that_cannot_be_written_are_refused_at_once(place, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "rows.jsonl")
    assert main(["attack", str(place / "0.ckpt"), str(place / "data"), "--out", out]) == 2
    err = capsys.readouterr().err
    assert "file cannot be written to, where rows are to go; give another --out" in err and "clean" not in err


def test_the_figure_of_windows_has_a_line_for_each_attack():
    png = io.BytesIO()
    points = [(0.25, 0.5, 0.3, 0.7), (0.5, 0.8, 0.6, 0.9)]
    recovery_windows({"fft": {"a": points, "b": points[:1]}, "jpeg": {"a": points}}, "title", png)
    shown = np.asarray(Image.open(png).convert("RGB")).astype(int)
    blue, orange = ((abs(shown - color).sum(2) < 20).sum() for color in ((31, 119, 180), (255, 127, 14)))
    assert blue > 200 and 10 < orange < blue


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 8, 20])
def test_pictures_are_even_over_the_classes(limit):
    labels = [0] * 5 + [1] * 2 + [2] * 4
    chosen = evenly(labels, limit)
    counts = [sum(labels[place] == label for place in chosen) for label in range(3)]
    assert len(set(chosen)) == sum(counts) == min(limit, 11) and chosen == sorted(chosen)
    assert max(counts) - min(min(counts[0], counts[2]), counts[1] if counts[1] < 2 else counts[0]) <= 1


def test_few_pictures_of_many_classes_lie_over_all_of_them():
    assert evenly(list(range(200)), 5) == [0, 40, 80, 120, 160]


def broken_files(folder):
    for name in ("3_a.jpg", "x_b.jpg"):
        Image.new("RGB", (300, 300)).save(folder / name)
    return folder


@pytest.mark.parametrize("arguments, says", [
    (["CKPT"], "give CKPT DATA"),
    (["CKPT", "DATA", "DATA"], "give CKPT DATA"),
    (["nowhere.ckpt", "DATA"], "no checkpoint nowhere.ckpt"),
    (["CKPT", "nowhere"], "no folder nowhere"),
    (["CKPT", "DATA", "--attacks", "pgdd"], "an attack is one of 'fgsm'"),
    (["CKPT", "DATA", "--channels", "fftt"], "a channel is one of 'none'"),
    (["CKPT", "DATA", "--channels", "fft:half"], "NAME:STRENGTH"),
    (["CKPT", "DATA", "--channels", "fft:3"], "the share of the spectrum"),
    (["CKPT", "DATA", "--channels", "jpeg:inf"], "finite"),
    (["CKPT", "DATA", "--backward", "{depht: smooth}"], "a name in --backward is one of"),
    (["CKPT", "DATA", "--backward", "{depth: gradient}"], "depth in --backward is one of 'identity', 'smooth'"),
    (["CKPT", "DATA", "--backward", "smooth"], "names and values"),
    (["CKPT", "DATA", "--channels", "fft", "--backward", "{depth: smooth}"], "--backward has depth, which is not among"),
    (["CKPT", "DATA", "--attacks", "fgsm", "--options", "{pgd: {stepz: 3}}"], "pgd has no option stepz"),
    (["CKPT", "DATA", "--checks", "3"], "4 pictures at least, or 0"),
    (["CKPT", "DATA", "--options", "{pgd: 3}"], "{pgd: {option: value}}"),
    (["CKPT", "DATA", "--options", "{pgd: {stepz: 3}}"], "pgd has no option stepz"),
    (["CKPT", "DATA", "--options", "{what: {steps: 3}}"], "a name in --options"),
    (["CKPT", "DATA", "--options", "{pgd: "], "YAML"),
    (["CKPT", "DATA", "--options", "{pgd: {steps: -3}}"], "attack pgd: steps is a whole number at least 1; got -3"),
    (["CKPT", "DATA", "--options", "{cw: {step: abc}}"], "attack cw: step is a finite number greater than 0; got 'abc'"),
    (["CKPT", "DATA", "--options", "{cw: {abort_early: 1}}"], "attack cw: abort_early is True or False; got 1"),
    (["CKPT", "DATA", "--attacks", "pgd_bands"], "attack pgd_bands: name the frequencies"),
    (["CKPT", "DATA", "--attacks", "autoattack", "--options", "{autoattack: {version: fast}}"],
     "attack autoattack: version is one of 'standard', 'plus', 'rand'; got 'fast'"),
    (["CKPT", "DATA", "--epsilon_linf", "8/0"], "a fraction"),
    (["CKPT", "DATA", "--epsilon_linf", "eight"], "a fraction"),
    (["CKPT", "DATA", "--limit", "0"], "limit"),
    (["CKPT", "DATA", "--samples", "0"], "samples"),
    (["CKPT", "DATA", "--batch_size", "0"], "batch"),
    (["CKPT", "DATA", "--checks", "-1"], "checked"),
    (["CKPT", "DATA", "--curvature", "-1"], "curvature"),
    (["CKPT", "DATA", "--check_options", "{stepz: 3}"], "a name in --check_options"),
    (["CKPT", "DATA", "--check_options", "{norm: l2}"], "a name in --check_options"),
    (["CKPT", "DATA", "--check_options", "{steps: 5}"], "whole numbers in brackets"),
    (["CKPT", "DATA", "--check_options", "{queries: many}"], "queries in --check_options is a number"),
    (["CKPT", "DATA", "--check_options", "{steps: [1]}"], "steps are two numbers at least"),
    (["CKPT", "DATA", "--check_options", "{tolerance: 2}"], "tolerance is a number in [0, 1]"),
    (["CKPT", "DATA", "--out", "/dev/null"], "/dev/null is no file"),
    (["CKPT", "DATA", "--device", "abacus"], "--device cpu"),
    (["CKPT", "DATA", "--out", "DATA"], "data"),
    (["CKPT", "DATA", "--out", "CKPT"], "is no row of"),
    (["CKPT", "DATA", "--targets", "LARGER"], "pixels a side"),
    (["--pretrained", "efficientnet_lite0"], "required"),
    (["--pretrained", "resnet5", "DATA"], "resnet50"),
    (["--pretrained", "efficientnet_lite0", "CKPT", "DATA"], "one folder"),
    (["CKPT", "DATA", "--coefficients"], "--coefficients goes with --pretrained"),
])  # fmt: skip
def test_mistakes_are_one_line(place, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    names = {"CKPT": place / "0.ckpt", "DATA": place / "data", "LARGER": place / "2.ckpt"}
    words = [str(names.get(word, word)) for word in arguments]
    try:
        status = main(["attack", *words])
    except SystemExit as stopped:  # argparse's own
        status = stopped.code
    err = capsys.readouterr().err
    assert status == 2 and says in err, err
    assert "Traceback" not in err and (len(err.strip().splitlines()) == 1 or "usage:" in err), err
    assert not (tmp_path / "attacks.jsonl").exists()


def test_without_foolbox_it_says_what_to_install(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "foolbox", None)
    monkeypatch.chdir(tmp_path)
    assert main(["attack", str(place / "0.ckpt"), str(place / "data"), "--limit", "3"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_a_number_may_be_a_fraction():
    number = attack_arguments._number
    assert (number("8/255"), number("0.5"), number("0.25/255")) == (8 / 255, 0.5, 0.25 / 255)
    given = attack_arguments.given_options("--options", "{cw: {epsilon: [1/2, null, 3]}}", {"cw": None})
    assert given == {"cw": {"epsilon": ["1/2", None, 3]}}  # of what is no attack it stays as it is
    given = attack_arguments.given_options("--options", "{cw: {epsilon: [1/2, null, 3]}}", attack_arguments.ATTACKS)
    assert given == {"cw": {"epsilon": [0.5, None, 3]}}


def test_files_of_imagenet_are_known_by_their_numbers(tmp_path):
    subject = pretrained_subject("efficientnet_lite0")
    for number in (7, 999, 3):
        Image.new("RGB", (300, 280), (number % 255, 9, 9)).save(tmp_path / f"{number:04}_a.jpg")
    assert [label for _, label in labelled_files(subject, tmp_path)] == [3, 7, 999]
    pictures = load_pictures(subject, tmp_path, 10)
    assert pictures.pixels.shape == (3, 3, 224, 224) and subject.classes[3] == "tiger shark"
    assert pictures.pixels[0, 0].mean().item() == pytest.approx(3 / 255, abs=0.02)
    broken_files(tmp_path)
    with pytest.raises(ValueError, match="begin with the number"):
        labelled_files(subject, tmp_path)


def test_a_network_on_the_coefficients_of_the_pixels():
    """On gray pictures, which lose nothing in chroma's grid, it says and differentiates what the network on pixels does."""
    pixels = pretrained_subject("efficientnet_lite0")
    coefficients = pretrained_subject("efficientnet_lite0", coefficients=True)
    assert pixels.identity | {"reads": "coefficients"} == coefficients.identity
    smooth = torch.rand(2, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    gray = torch.nn.functional.interpolate(smooth, size=224, mode="bilinear").expand(-1, 3, -1, -1)
    logits, gradients = [], []
    for subject in (pixels, coefficients):
        inputs = gray.clone().requires_grad_()
        logits.append(subject.network(inputs))
        gradients.append(torch.autograd.grad(logits[-1][:, 7].sum(), inputs)[0].sum(1))
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-3, atol=2e-3)
    # Float32 puts a few ReLUs on their other side.
    assert torch.nn.functional.cosine_similarity(*(one.flatten() for one in gradients), dim=0) > 0.9999


def test_a_network_of_torchvision(tmp_path, monkeypatch):
    """Its weights are taken from torch's folder of downloads, its size and normalisation are those of the weights."""
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    torch.manual_seed(0)
    model = torchvision.models.squeezenet1_1().eval()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(model.state_dict(), tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2])
    subject = pretrained_subject("squeezenet1_1")
    picture = np.random.default_rng(0).integers(0, 255, (260, 300, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=95)
    with torch.no_grad(), Image.open(tmp_path / "a.jpg") as image:
        expected = model(weights.transforms()(image)[None])
        ours = subject.network(subject.prepare(str(tmp_path / "a.jpg"))[None])
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=2e-3)
    assert weights_digest(subject.network) == subject.identity["weights"]
    with torch.no_grad():
        next(subject.network.parameters()).flatten()[0] += 1e-3
    assert weights_digest(subject.network) != subject.identity["weights"]


def test_a_file_with_rows_of_another_kind_is_no_trouble_for_the_analysis(place, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"key": {"kind": "clean"}}\n')
    assert run(place, tmp_path / "rows.jsonl", "--analysis") == 0
    assert (tmp_path / "rows" / "windows.png").exists()


def test_two_commands_may_write_to_one_file_and_draw_the_same_pictures(place, tmp_path):
    words = [
        "attack",
        str(place / "0.ckpt"),
        str(place / "data"),
        "--out",
        str(tmp_path / "rows.jsonl"),
        *FAST,
        "--analysis",
    ]
    code = "import sys; from dctnet.cli import main; sys.exit(main(sys.argv[1:]))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=200)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    rows = rows_of(tmp_path / "rows.jsonl")
    keys = [json.dumps(row["key"], sort_keys=True) for row in rows]
    assert len(keys) == len(set(keys)) and not list(tmp_path.rglob("*.partial"))
