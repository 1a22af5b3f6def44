"""``experiments/suite.py`` and its questions: rows that can be trained, a plan that adds up, kills and failures."""

import inspect
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from PIL import Image

import dctnet
from dctnet.models.cost import multiply_adds
from dctnet.transforms.compose import Compose
from tests.series_sets import tones, write_ts

FOLDER = Path(__file__).resolve().parents[1] / "experiments"
SETS = ("cifar10", "clothing", "ucr", "digits")
QUESTIONS = [FOLDER / f"{name}.yaml" for name in yaml.safe_load((FOLDER / "suite.yaml").read_text())]
FORMS = (None, "quick", "full")


@pytest.fixture(scope="module")
def modules():
    """The modules of the folder, which import each other as a program's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import equal_time
        import grid
        import jobs
        import suite
        import twins
        import untrained

        yield {
            "untrained": untrained,
            "equal_time": equal_time,
            "grid": grid,
            "jobs": jobs,
            "suite": suite,
            "twins": twins,
        }


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two shades as any set of pictures, and tones under the names of the UCR sets."""
    root = tmp_path_factory.mktemp("sets")
    draws = torch.Generator().manual_seed(0)
    for kind in ("train", "val"):
        for shade, low in (("dark", 0), ("light", 128)):
            (root / "pictures" / kind / shade).mkdir(parents=True)
            for number in range(6):
                pixels = torch.randint(low, low + 128, (32, 32, 3), generator=draws, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(root / "pictures" / kind / shade / f"{number}.jpg")
    for name in ("Coffee", "GunPoint", "ItalyPowerDemand", "OSULeaf", "Trace"):
        write_ts(root / "ucr", name, tones(8, 0), tones(8, 1))
    return root


@pytest.mark.parametrize("file", QUESTIONS, ids=lambda file: file.stem)
def test_a_question_says_what_it_has_to(file, modules):
    for form in FORMS:
        grid = modules["grid"].read_grid(file, form)
        assert grid["question"].strip().endswith((".", "?")) and grid["claim"]
        assert set(grid["minutes"]) <= {"quick", "full"} and all(minutes > 0 for minutes in grid["minutes"].values())
        assert set(grid["data"] or []) <= {*SETS, "imagenet"}
        assert grid.get("rows") or grid.get("commands")
        if grid.get("rows") and form in grid["minutes"]:
            assert len(grid["seeds"]) >= 2


def settings_alike(grids: list[dict]) -> dict[str, tuple]:
    """Each row of the grids once, whatever the forms that have it."""
    found = {}
    for grid in grids:
        for name in grid.get("rows", {}):
            found[json.dumps([grid["rows"][name], grid["settings"]])] = (grid, name)
    return found


@pytest.mark.parametrize("file", QUESTIONS, ids=lambda file: file.stem)
def test_every_row_makes_a_network_that_reads_its_data(file, modules, sets):
    known = inspect.signature(Trainer).parameters
    grids = [modules["grid"].read_grid(file, form) for form in FORMS]
    for grid, name in settings_alike(grids[:1] if file.stem == "cifar10_augmentations" else grids[:2]).values():
        series = grid["data"] == ["ucr"]
        root, own = sets / ("ucr" if series else "pictures"), {} if series else {"workers": 0}
        data, classifier = modules["untrained"].untrained(grid, name, root, batch_size=4, **own)
        batch = next(iter(data.val_dataloader()))
        with torch.inference_mode():
            assert classifier.eval()(batch.inputs).shape == (4, 2)
    for grid in grids:
        for settings in (grid.get("settings", {}), *grid.get("rows", {}).values()):
            trainer = {key.partition(".")[2] for key in settings if key.startswith("trainer.")}
            assert trainer <= known.keys()


@pytest.mark.slow
@pytest.mark.parametrize("file", QUESTIONS, ids=lambda file: file.stem)
def test_every_row_is_accepted_by_the_command_line(file, modules, sets, tmp_path):
    from dctnet import cli

    grids = [modules["grid"].read_grid(file, form) for form in (None, "quick")]
    for grid, name in settings_alike(grids).values():
        fit = __import__(grid["program"]).main if grid.get("program") else lambda words: cli.main(["fit", *words])
        root = sets / "ucr" if grid["data"] == ["ucr"] else sets / "pictures"
        words = [*modules["grid"].arguments(grid, name, 0), "--trainer.max_epochs", "0", "--model.warmup_epochs", "0"]
        words += [
            "--trainer.num_sanity_val_steps",
            "0",
            "--trainer.check_val_every_n_epoch",
            "1",
            "--data.batch_size",
            "4",
        ]
        words += ["--data.root", str(root), "--trainer.default_root_dir", str(tmp_path / name)]
        assert fit(words) == 0, (name, words)


def place(modules, tmp_path, names=SETS):
    folders = {name: tmp_path / name for name in names}
    return modules["suite"].Place(folders, tmp_path / "out", tmp_path / "runs", 2, ["cpu"])


def test_the_quick_form_takes_less_than_an_hour_by_its_own_figures(modules, tmp_path):
    suite = modules["suite"]
    grids = suite.chosen(FOLDER / "suite.yaml", "quick")
    lines = suite.plan(grids, "quick", place(modules, tmp_path))
    minutes = sum(grid["minutes"]["quick"] for grid in grids.values())
    assert 20 < minutes < 60 and lines[-1].startswith(f"{minutes:g} minutes")
    assert f"expected to take {minutes:g} minutes" in (FOLDER / "README.md").read_text()
    for file, grid in grids.items():
        assert any(line.startswith(file.stem) and f" {len(suite.runs_of(grid))} runs" in line for line in lines)
    left = suite.plan(grids, "quick", place(modules, tmp_path, ("digits",)))
    assert sum("left out, needs cifar10" in line for line in left) > 5 and "left out" not in "".join(lines)


def test_one_question_brings_those_whose_networks_it_needs(modules):
    chosen = modules["suite"].chosen
    names = [file.stem for file in chosen(FOLDER / "suite.yaml", "quick", "defence")]
    assert names == ["cifar10_planes", "cifar10_defence"]
    assert [file.stem for file in chosen(FOLDER / "suite.yaml", "quick", "blocks")] == ["cifar10_blocks"]
    with pytest.raises(
        ValueError, match="no question has 'blcks' in its name; those of the quick form: cifar10_blocks, "
    ):
        chosen(FOLDER / "suite.yaml", "quick", "blcks")
    for file in QUESTIONS:  # networks are those of the question itself or of those it needs
        for form in ("quick", "full"):
            grid = modules["grid"].read_grid(file, form)
            used = {
                part.split("/")[0].split()[0]
                for one in grid.get("commands", [])
                for part in one["run"].split("{runs}/")[1:]
            }
            assert used - {"ucr_compression"} <= {file.stem, *grid.get("needs", [])}, (file.stem, used)


@pytest.mark.parametrize(("program", "words", "says"), [
    ("suite.py", [".", "--quick", "--jobs", "0"], "a whole number from 1 on; got '0'"),
    ("suite.py", [".", "--quick", "--only", "blcks"], "no question has 'blcks' in its name"),
    ("suite.py", ["/nowhere", "--quick"], "DATA is a folder"),
    ("run.py", [FOLDER / "cifar10_blocks.yaml", ".", "out.jsonl", "--jobs", "0"], "a whole number from 1 on; got '0'"),
    ("run.py", [FOLDER / "cifar10_blocks.yaml", ".", "out.jsonl", "--only", "zzz"], "no row of"),
    ("run.py", [FOLDER / "cifar10_blocks.yaml", ".", "out.jsonl", "--share", "2"], "--share is K/N"),
    ("run.py", [FOLDER / "cifar10_blocks.yaml", ".", "out.jsonl", "--devices", "gpu"], "a device is cpu or cuda:N"),
    ("run.py", ["nowhere.yaml", ".", "out.jsonl"], "nowhere.yaml"),
    ("run.py", [FOLDER / "speed.yaml", ".", "out.jsonl"], "has no rows, only commands; run it with suite.py"),
    ("run.py", [FOLDER / "cifar10_blocks.yaml", ".", "out.jsonl", "--devices", "cuda:63"], "there is no cuda:63"),
    ("suite.py", [".", "--quick", "--devices", "cuda:63"], "there is no cuda:63"),
    ("suite.py", [".", "--quick", "--out", FOLDER / "run.py"], "results go to a folder"),
    ("suite.py", [".", "--quick", "--questions", "nowhere.yaml"], "nowhere.yaml"),
])  # fmt: skip
def test_slips_are_one_line(tmp_path, program, words, says):
    done = subprocess.run(
        [sys.executable, FOLDER / program, *map(str, words)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_nothing_to_run_is_a_failure(tmp_path):
    words = ["--quick", "--only", "cifar10_blocks", "--out", tmp_path / "out", "--runs", tmp_path / "runs"]
    done = subprocess.run([sys.executable, FOLDER / "suite.py", tmp_path, *words], capture_output=True, text=True)
    assert done.returncode == 1 and "left out: it needs cifar10" in done.stdout, done.stderr


def test_commands_know_their_folders_and_need_only_networks_that_were_trained(modules, tmp_path):
    suite, where = modules["suite"], place(modules, tmp_path, (*SETS, "imagenet"))
    for form in ("quick", "full"):
        grids = suite.chosen(FOLDER / "suite.yaml", form)
        trained, results = set(), []
        for file, grid in grids.items():
            trained |= {f"{tmp_path}/runs/{file.stem}/{name}-{seed}" for name, seed in suite.runs_of(grid)}
            for step in suite.steps_of(file, grid, form, where):
                results.append(step.result)
                for command in step.commands if step.number else []:
                    assert str(suite.partial(step.result)) in command
                    used = [
                        word.removesuffix("/last.ckpt")
                        for word in command.split()
                        if word.startswith(f"{tmp_path}/runs/")
                    ]
                    assert all(word in trained or Path(word).name in {f.stem for f in grids} for word in used), command
        assert len(set(results)) == len(results)


def test_rows_of_equal_cost_have_multiply_adds_within_five_percent(modules, sets):
    grid = modules["grid"].read_grid(FOLDER / "cifar10_equal_macs.yaml")
    costs = {}
    for name in grid["rows"]:
        _, classifier = modules["untrained"].untrained(grid, name, sets / "pictures")
        costs[name] = multiply_adds(classifier.network, 32, classifier.hparams.block_size)
    assert len(costs) >= 4
    assert all(abs(cost / costs["rgb"] - 1) < 0.05 for cost in costs.values()), costs


@pytest.mark.parametrize(
    ("epochs", "each", "ratio"), [(3, 39, 1.0), (3, 39, 1.87), (15, 781, 0.31), (1, 10, 0.01), (4, 7, 2.5)]
)
def test_steps_of_equal_time_are_those_that_the_ratio_asks_for(modules, epochs, each, ratio):
    passes, _, limit = modules["equal_time"].steps_of(epochs, each, ratio).values()
    assert 1 <= limit <= each
    assert abs(passes * limit - epochs * each * ratio) <= max(1, passes / 2 + 0.5)


def test_twins_do_the_same_to_gray_levels_on_average(modules, sets):
    """Where both sides are the same operation, the means and the deviations of many draws are alike."""
    for name in ("none", "rotation", "invert", "solarize", "cutout"):
        found = []
        for row in ("none_dct", "none_rgb"):
            grid = modules["grid"].read_grid(FOLDER / "cifar10_augmentations.yaml")
            data, _ = modules["untrained"].untrained(
                grid, row, sets / "pictures", augmentation=name, batch_size=12, workers=0
            )
            planes = [next(iter(data.train_dataloader())).coefficients.y.double() for data.seed in range(5)]
            power = torch.stack(
                [plane.square().sum((1, 2, 3)) / 1024 for plane in planes]
            )  # Parseval: a picture's mean square
            found.append(power.mean().item() ** 0.5)
        assert found[0] == pytest.approx(found[1], rel=0.05), name


def test_noise_is_as_strong_on_both_sides(modules):
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128), (128, 128, 128)).save(buffer, "JPEG", quality=95)
    image = dctnet.read_jpeg(buffer.getvalue())
    twins, draws = modules["twins"], torch.Generator().manual_seed(0)
    ours = Compose(twins.on_coefficients("noise", 128), block_size=1)(image, draws)
    theirs = twins.PixelChain(twins.on_pixels("noise", 128))(image, draws)
    for name, one, other in zip(ours._fields, ours, theirs, strict=True):
        assert one.shape == other.shape and one.std().item() == pytest.approx(other.std().item(), rel=0.04), name


def test_every_augmentation_changes_pictures_and_leaves_their_shape(modules, sets):
    """One that did nothing, as a hump of the middle frequencies does in blocks of 2, would be compared in vain."""
    grid = modules["grid"].read_grid(FOLDER / "cifar10_augmentations.yaml")
    augmented = [(name, side) for name in grid["rows"] for side in ("dct", "rgb") if name.endswith(side)]
    plain = {}
    for row, side in augmented:
        if row.startswith(("mixup", "cutmix")):  # of the classifier
            continue
        data, _ = modules["untrained"].untrained(grid, row, sets / "pictures", batch_size=12, workers=0)
        batches = []
        for data.seed in range(3):
            batches.append(next(iter(data.train_dataloader())).coefficients)
        plain.setdefault(side, batches)
        assert [[plane.shape for plane in batch] for batch in batches] == [
            [plane.shape for plane in batch] for batch in plain[side]
        ]
        same = all(
            torch.equal(a, b)
            for one, other in zip(batches, plain[side], strict=True)
            for a, b in zip(one, other, strict=True)
        )
        assert same == row.startswith("none"), row


def test_an_augmentation_is_drawn_by_the_key_of_a_sample_alone(modules, sets):
    grid = modules["grid"].read_grid(FOLDER / "cifar10_augmentations.yaml")
    before = torch.random.get_rng_state()
    batches = []
    for _ in range(2):
        data, _ = modules["untrained"].untrained(grid, "randaugment_rgb", sets / "pictures", batch_size=12, workers=0)
        torch.rand(len(batches) + 1)
        batches.append(next(iter(data.train_dataloader())).coefficients)
    assert all(torch.equal(one, other) for one, other in zip(*batches, strict=True))
    assert batches[0].cb.shape[-1] * 2 == batches[0].y.shape[-1] == 32
    torch.random.set_rng_state(before)


def test_what_has_no_twin_is_refused(modules):
    with pytest.raises(ValueError, match="no twin of frequencies"):
        modules["twins"].on_pixels("frequencies", 32)
    with pytest.raises(ValueError, match="augmentations are none, rotation"):
        modules["twins"].on_coefficients("rotate", 32)


def test_results_of_more_than_fifty_megabytes_are_told(modules, tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert modules["suite"].too_large(tmp_path) is None
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(50_000_000)
    assert "large.bin 50 MB" in modules["suite"].too_large(tmp_path)


def test_a_question_with_a_word_that_none_has_is_refused(modules, tmp_path):
    (tmp_path / "odd.yaml").write_text("question: is it?\nrow: {}\n")
    with pytest.raises(ValueError, match="has row; a question has claim"):
        modules["grid"].read_grid(tmp_path / "odd.yaml")
    (tmp_path / "odd.yaml").write_text("question: is it?\nrows: {a: {}}\nquick: {rows: [b]}\n")
    with pytest.raises(ValueError, match="takes the rows b"):
        modules["grid"].read_grid(tmp_path / "odd.yaml", "quick")


TINY = {
    "question": "does a suite run?",
    "claim": "none",
    "minutes": {"quick": 1},
    "data": ["cifar10"],
    "config": "digits",
    "seeds": [0, 1],
    "settings": {
        "trainer.max_epochs": 1,
        "trainer.accelerator": "cpu",
        "model.network": "multigrid_resnet18",
        "model.options": {"width": 0.125},
        "model.warmup_epochs": 0,
        "data.workers": 0,
        "data.batch_size": 4,
    },
    "rows": {"good": {}, "broken": {"model.network": "no_such_network"}, "late": {"data.block_size": 4}},
    "quick": {"train_per_class": 4, "val_per_class": 3},
    "commands": [
        {"run": "dctnet summary {runs}/tiny/good-{each}/last.ckpt", "each": [0], "result": "never.json"},
        {"run": "dctnet stats {cifar10}/val --out {result} --block_size {block}", "result": "card.yaml"},
    ],
    "values": {"block": 4},
}


def test_a_job_that_fails_stops_no_other(modules, tmp_path, monkeypatch):
    jobs = modules["jobs"]
    monkeypatch.setattr(jobs, "IMPORTED", [])
    calls = {"says": (print, "said"), "stops": (sys.exit, "no such thing"), "ends": (print,)}
    calls["dies"] = (signal.raise_signal, signal.SIGKILL)
    made = [jobs.Job(function, tuple(words), tmp_path / f"{name}.log") for name, (function, *words) in calls.items()]
    ended = {list(calls)[number]: error for number, error in jobs.run_jobs(made, jobs.devices_of(["cpu"], 2))}
    assert ended.keys() == calls.keys() and ended["says"] is None and ended["ends"] is None
    assert ended["stops"].startswith("exit status 1: no such thing (")
    assert ended["dies"].startswith("exit status -9: it said nothing (")
    assert (tmp_path / "says.log").read_text() == "said\n"


def test_many_short_jobs_end_as_they_ended(modules, tmp_path, monkeypatch):
    jobs = modules["jobs"]
    monkeypatch.setattr(jobs, "IMPORTED", [])
    made = [jobs.Job(print, (number,), tmp_path / f"{number}.log") for number in range(100)]
    assert sorted(jobs.run_jobs(made, [{}] * 4)) == [(number, None) for number in range(100)]


@pytest.mark.parametrize(
    ("seen", "names", "jobs", "expected"),
    [
        ("", ["cpu"], 2, ["", ""]),
        ("", ["cuda:0", "cuda:2"], 1, ["0", "2"]),
        ("4,7", ["cuda:1"], 2, ["7", "7"]),
    ],
)
def test_each_place_sees_its_device_alone(modules, monkeypatch, seen, names, jobs, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert [place["CUDA_VISIBLE_DEVICES"] for place in modules["jobs"].devices_of(names, jobs)] == expected
    with pytest.raises(ValueError, match="a device is cpu or cuda:N"):
        modules["jobs"].devices_of(["gpu"], 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_suite_is_resumed_after_a_kill_and_tells_what_failed(sets, tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(TINY | {"data": ["imagenet"]}))
    (tmp_path / "list.yaml").write_text("[tiny, other]\n")
    out, runs = tmp_path / "out", tmp_path / "runs"
    command = [sys.executable, FOLDER / "suite.py", f"cifar10={sets / 'pictures'}", "--quick", "--jobs", "2"]
    command += ["--questions", tmp_path / "list.yaml", "--out", out, "--runs", runs]
    command = list(map(str, command))
    file = out / "tiny.jsonl"

    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while not (file.exists() and file.read_text().endswith("\n")) and time.monotonic() < until:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = file.read_text()
    with file.open("a") as torn:
        torn.write('{"name": "late", "se')  # what a kill in the middle of a line leaves

    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert file.read_text().startswith(kept)
    assert sorted((row["name"], row["seed"]) for row in rows) == [("good", 0), ("good", 1), ("late", 0), ("late", 1)]
    for row in rows:
        assert (
            row["train_per_class"] == 4 and row["val_per_class"] == 3 and row["form"] == "quick" and row["epochs"] == 1
        )
        assert (
            row["cpu_minutes"] > 0 and row["commit"] and {"python", "torch", "torchvision", "lightning"} <= row.keys()
        )
    assert len(list((runs / "tiny" / "data-4-3-0" / "val").glob("*/*"))) == 6
    assert done.returncode == 1
    for seed in (0, 1):
        assert f"broken, seed {seed} failed: exit status 2: " in done.stderr and "there is no network" in done.stderr
    assert "other was left out: it needs imagenet" in done.stdout and "wrote no never.json" in done.stdout
    assert "bands:" in (out / "card.yaml").read_text() or (out / "card.yaml").read_text()
    finished = [json.loads(line) for line in (out / "suite.jsonl").read_text().splitlines()]
    assert [(row["question"], row["step"]) for row in finished] == [("tiny", 2)]
    assert str(tmp_path) not in (out / "suite.jsonl").read_text() and str(sets) not in (out / "card.yaml").read_text()
