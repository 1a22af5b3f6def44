"""Schedule, moving average, accuracy, loss and optimizer against closed forms; checkpoints; resuming to the bit."""

import contextlib
import csv
import math
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.functional.classification import multiclass_accuracy

from dctnet.coefficients import Coefficients
from dctnet.data.batch import Batch
from dctnet.data.broken import Broken
from dctnet.data.keyed_sampling import SampleKey, mix, sample_generator
from dctnet.data.torch_loader import Item, KeyedLoader, collate
from dctnet.jpeg.errors import JPEGError
from dctnet.models.zoo import create_model
from dctnet.training import progress
from dctnet.training.accuracy import Sums, hits
from dctnet.training.checkpoints import AtomicCheckpointIO, RunCheckpoints
from dctnet.training.classifier import Classifier, parameter_groups
from dctnet.training.ema import MovingAverage, ema_decay
from dctnet.training.progress import EpochTable, Throughput
from dctnet.training.schedule import warmup_cosine, warmup_cosine_schedule
from dctnet.transforms.mixing import CutMix, MixUp, cutmix, mixup

QUIET = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*isinstance.treespec, LeafSpec.",
    "ignore:You're using the WeightAveraging callback",
)


class Noise(Dataset):
    """Random planes of block size 2, keyed like files; the indices in ``broken`` raise."""

    def __init__(self, count=22, broken=()):
        self.count, self.broken = count, broken

    def __len__(self):
        return self.count

    def path(self, index):
        return f"{index}.jpg"

    def sample(self, key):
        if key.index in self.broken:
            raise JPEGError(self.path(key.index), 7, "made to fail")
        g = sample_generator(0, key)
        shapes = ((4, 4, 4), (4, 2, 2), (4, 2, 2))
        return Coefficients(*(torch.randn(*shape, generator=g) for shape in shapes)), key.index % 3, None


class Net(nn.Module):
    """Dropout, batch statistics and a bias: whatever could make two runs differ."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout, self.fc = nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Linear(64, 3)

    def forward(self, coefficients):
        return self.fc(self.dropout(self.norm(coefficients.y).flatten(1)))


class Luma(nn.Module):
    """All of luma as one vector."""

    def forward(self, coefficients):
        return coefficients.y.flatten(1)


CLASSES = ["a", "b", "c"]


def test_schedule_against_torchs_own():
    warmup, total, lr = 5, 37, 0.3
    parameter = nn.Parameter(torch.zeros(1))
    ours = torch.optim.SGD([parameter], lr=lr)
    schedule = warmup_cosine_schedule(ours, warmup, total)
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, total - warmup)
    for step in range(total + 1):
        rate = ours.param_groups[0]["lr"]
        if step < warmup:
            assert rate == pytest.approx(lr * (step + 1) / (warmup + 1), rel=1e-12)
        else:
            assert rate == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9, abs=1e-15)
            theirs.step()
            cosine.step()
        ours.step()
        schedule.step()
    assert warmup_cosine(total + 3, warmup, total) == 0.0
    with pytest.raises(ValueError, match=r"the warm-up takes 37 of 37 steps"):
        warmup_cosine_schedule(ours, total, total)


def test_moving_average_against_its_sum():
    torch.manual_seed(0)
    net = Net()
    average = MovingAverage(0.9)
    model = Classifier(net, CLASSES)
    average.setup(None, model, "fit")
    history = []
    for _ in range(25):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average._average_model.update_parameters(model)
        history.append(net.fc.weight.detach().double().clone())
    # a_0 = w_0;  a_n = d_n a_(n-1) + (1 - d_n) w_n,  written out as a weighted sum of all w
    decays = [min(0.9, (1 + n) / (10 + n)) for n in range(1, 25)]
    weights = [math.prod(decays)] + [(1 - d) * math.prod(decays[i + 1 :]) for i, d in enumerate(decays)]
    assert sum(weights) == pytest.approx(1.0)
    expected = sum(weight * value for weight, value in zip(weights, history, strict=True))
    found = average._average_model.module.network.fc.weight
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert ema_decay(10**9, 0.9999) == 0.9999
    with pytest.raises(ValueError, match=r"in \[0, 1\); got 1"):
        MovingAverage(1.0)


def test_accuracy_against_torchmetrics():
    g = torch.Generator().manual_seed(0)
    sums, all_logits, all_labels, all_losses = Sums(), [], [], []
    for n in (7, 1, 13):
        logits, labels = torch.randn(n, 9, generator=g), torch.randint(0, 9, (n,), generator=g)
        losses = F.cross_entropy(logits, labels, reduction="none")
        sums.add(losses, logits, labels)
        all_logits.append(logits), all_labels.append(labels), all_losses.append(losses)
    logits, labels = torch.cat(all_logits), torch.cat(all_labels)
    means = sums.means(torch.device("cpu"))
    for name, k in (("top1", 1), ("top5", 5)):
        theirs = multiclass_accuracy(logits, labels, num_classes=9, top_k=k, average="micro")
        assert means[name] == pytest.approx(theirs.item(), abs=1e-7)
    assert means["loss"] == pytest.approx(torch.cat(all_losses).mean().item(), rel=1e-6)
    assert sums.means(torch.device("cpu"))["top1"].isnan()
    assert hits(logits[:, :3], labels.clamp(max=2), 5).all()


def batch_of(indices, planned=None):
    data = Noise()
    batch = collate([Item(*data.sample(SampleKey(0, i))[:2], i) for i in indices])
    return batch._replace(planned=planned or batch.planned)


def test_a_broken_file_counts_zero_in_the_loss():
    model = Classifier(Net(), CLASSES, label_smoothing=0.1).eval()
    model.log = lambda *a, **k: None
    batch = batch_of([0, 1, 2, 5, 8], planned=6)
    loss = model.training_step(batch, 0)
    smooth = F.one_hot(batch.labels, 3) * 0.9 + 0.1 / 3
    by_hand = -(smooth * model(batch.coefficients).log_softmax(1)).sum() / 6
    torch.testing.assert_close(loss, by_hand)
    nothing = Batch(None, torch.zeros(0).long(), torch.zeros(0).long(), 2, (Broken("a", "b"), Broken("c", "d")))
    zero = model.training_step(nothing, 0)
    zero.backward()
    assert zero == 0 and all(
        parameter.grad is not None and not parameter.grad.any() for parameter in model.parameters()
    )
    assert model.predict_step(nothing, 0) is None


def test_penalty_is_added():
    model = Classifier(
        "orthonormal_dct", CLASSES, {"depth": 18, "width": 0.1}, image_size=64, block_size=8, channels_last=False
    ).eval()
    model.log = lambda *a, **k: None
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.mul_(1.05)
    sizes = ((64, 8, 8), (64, 4, 4), (64, 4, 4))
    planes = Coefficients(*(30 * torch.randn(2, *size, generator=torch.Generator().manual_seed(1)) for size in sizes))
    batch = Batch(planes, torch.tensor([0, 2]), torch.tensor([0, 1]), 2, ())
    penalty = model.network.penalty()
    assert penalty > 0
    torch.testing.assert_close(model.training_step(batch, 0), F.cross_entropy(model(planes), batch.labels) + penalty)


def test_norms_and_biases_are_not_decayed():
    network = create_model("late_concat", num_classes=3, depth=18, block_size=(4, 2), width=0.1)
    decayed, spared = parameter_groups(network, 0.01)
    assert decayed["weight_decay"] == 0.01 and spared["weight_decay"] == 0
    weights = [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert {id(p) for p in decayed["params"]} == {id(w) for w in weights}
    assert len(decayed["params"]) + len(spared["params"]) == len(list(network.parameters()))
    (everything,) = parameter_groups(network, 0.01, decay_all=True)
    assert len(everything["params"]) == len(list(network.parameters()))


def test_without_momentum_there_is_no_nesterov():
    model = Classifier(Net(), CLASSES, momentum=0.0)
    model.trainer = SimpleNamespace(estimated_stepping_batches=40, max_epochs=10)
    assert model.configure_optimizers()["optimizer"].param_groups[0]["nesterov"] is False


OPTIMIZERS = {
    "sgd": ({"momentum": 0.8, "nesterov": True}, torch.optim.SGD),
    "adamw": ({"betas": (0.7, 0.95)}, torch.optim.AdamW),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_is_the_one_of_the_settings(name):
    options, kind = OPTIMIZERS[name]
    model = Classifier(Net(), CLASSES, optimizer=name, lr=0.3, weight_decay=0.02, warmup_epochs=2, **options)
    model.trainer = SimpleNamespace(estimated_stepping_batches=40, max_epochs=10)
    made = model.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert type(optimizer) is kind and made["lr_scheduler"]["interval"] == "step"
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.02, 0.0]
    for group in optimizer.param_groups:
        assert {key: group[key] for key in options} == options
    # 10 epochs of 4 steps: 2 epochs of warm-up are 8 steps
    rates = [0.3 * (s + 1) / 9 if s < 8 else 0.15 * (1 + math.cos(math.pi * (s - 8) / 32)) for s in range(40)]
    for rate in rates:
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate, rate], rel=1e-9)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": -1}, {"lr": math.inf}, {"momentum": 1}, {"betas": (0.9, 1.5)}, {"weight_decay": -1},
        {"warmup_epochs": -1}, {"label_smoothing": 2}, {"ema": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"^{name}.*; got "):
        Classifier(Net(), CLASSES, **wrong)


def test_channels_last_is_the_memory_of_the_weights():
    for asked in (True, False):
        model = Classifier("late_concat", CLASSES, {"depth": 18, "width": 0.1}, block_size=(4, 2), channels_last=asked)
        convolutions = [module for module in model.network.modules() if isinstance(module, nn.Conv2d)]
        wide = [c.weight for c in convolutions if c.weight.shape[1] > 1 and c.weight[0, 0].numel() > 1]
        assert wide
        assert all(weight.is_contiguous(memory_format=torch.channels_last) == asked for weight in wide)


@pytest.mark.parametrize("asked", [True, False])
def test_compile_compiles(asked):
    model = Classifier(Net(), CLASSES, compile=asked)
    model.network.compile = Mock()
    model.on_fit_start()
    assert model.network.compile.call_count == asked


def test_throughput_by_a_clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    throughput, logged = Throughput(seconds=1.0), []
    module = SimpleNamespace(log=lambda name, value, **_: logged.append((name, value)))
    trainer = SimpleNamespace(world_size=2)
    throughput.on_train_start(trainer, module)
    now[0] += 50  # validation
    throughput.on_train_epoch_start(trainer, module)
    for _ in range(5):
        now[0] += 0.5
        throughput.on_train_batch_end(trainer, module, None, batch_of([0, 1], planned=3), 0)
    # two ranks of three pictures each half second
    assert logged == [("img/s", pytest.approx(12)), ("img/s", pytest.approx(12))]
    assert throughput.epoch_rate == pytest.approx(12)


class StopAt(Callback):
    """Ends the run with an exception, as Ctrl-C would, at a step or at the end of an epoch."""

    def __init__(self, where, when):
        self.where, self.when = where, when

    def on_train_batch_end(self, trainer, *_):
        if self.where == "step" and trainer.global_step == self.when:
            raise KeyError("stopped")

    def on_train_epoch_start(self, trainer, _):
        if self.where == "epoch" and trainer.current_epoch == self.when:
            raise KeyError("stopped")


class Steps(Callback):
    """Records the samples of every step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.append((trainer.current_epoch, trainer.global_step, batch.indices.tolist()))


def fit(folder, *callbacks, resume=None, workers=0, seed=0, epochs=3, **settings):
    torch.manual_seed(seed)
    model = Classifier(
        Net(), CLASSES, **{"ema": 0.9, "lr": 0.05, "warmup_epochs": 1, "label_smoothing": 0.1, **settings}
    )
    steps, throughput = Steps(), Throughput(seconds=0)
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[
            steps,
            *callbacks,
            throughput,
            EpochTable(folder / "metrics.csv", throughput),
            RunCheckpoints(folder, every_n_steps=2),
        ],
        plugins=[AtomicCheckpointIO()],
        use_distributed_sampler=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train = KeyedLoader(Noise(22), 4, shuffle=True, drop_last=True, seed=5, workers=workers)
    with contextlib.suppress(KeyError):
        trainer.fit(model, train, KeyedLoader(Noise(10), 4), ckpt_path=resume)
    return steps.seen


def content(path):
    return torch.load(path, weights_only=True)


def assert_equal_states(left, right):
    """Weights, averages, optimizer and counters of two checkpoints, to the bit."""
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert left[part].keys() == right[part].keys()
        assert all(torch.equal(value, right[part][name]) for name, value in left[part].items()), part
    for a, b in zip(left["optimizer_states"], right["optimizer_states"], strict=True):
        for number, state in a["state"].items():
            assert all(torch.equal(value, b["state"][number][name]) for name, value in state.items())
    assert left["global_step"] == right["global_step"] and left["epoch"] == right["epoch"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return folder, fit(folder)


@QUIET
@pytest.mark.parametrize(
    "where,when", [("step", n) for n in (3, 5, 6, 7, 9, 10, 13, 15)] + [("epoch", 1), ("epoch", 2)]
)
def test_a_stopped_run_resumes_to_the_bit(straight, tmp_path, where, when):
    reference, steps = straight
    workers = 2 if when in (7, 2) else 0
    fit(tmp_path, StopAt(where, when), workers=workers)
    place = content(tmp_path / "last.ckpt")
    resumed = fit(tmp_path, resume=tmp_path / "last.ckpt", seed=99, workers=workers)
    assert resumed == steps[place["global_step"] :]
    for name in ("last.ckpt", "best.ckpt"):
        assert_equal_states(content(tmp_path / name), content(reference / name))
    with open(tmp_path / "metrics.csv") as one, open(reference / "metrics.csv") as other:
        tables = list(csv.DictReader(one)), list(csv.DictReader(other))
    kept = ("epoch", "step", "lr", "val_loss", "val_top1", "val_top5")
    assert [[row[name] for name in kept] for row in tables[0]] == [[row[name] for name in kept] for row in tables[1]]
    assert [row["epoch"] for row in tables[0]] == ["0", "1", "2"]


@QUIET
def test_the_checkpoint_holds_the_average_and_the_weights_apart(straight):
    last = content(straight[0] / "last.ckpt")
    name = "network.fc.weight"
    assert not torch.equal(last["state_dict"][name], last["current_model_state"][name])
    assert last["averaging_state"]["n_averaged"] == last["global_step"] == 15


@QUIET
def test_best_is_the_epoch_with_the_greatest_accuracy(straight):
    with open(straight[0] / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["val_top1"]))  # the first of equals
    assert content(straight[0] / "best.ckpt")["global_step"] == int(best["step"])


def test_a_checkpoint_that_fails_leaves_the_old_one(tmp_path):
    io, path = AtomicCheckpointIO(), tmp_path / "deep" / "last.ckpt"
    io.save_checkpoint({"x": torch.arange(3)}, path)
    with pytest.raises((AttributeError, TypeError, RuntimeError, ValueError)):
        io.save_checkpoint({"x": (value for value in range(3))}, path)  # a generator cannot be saved
    assert torch.equal(content(path)["x"], torch.arange(3))
    with pytest.raises(TypeError, match="takes no storage options"):
        io.save_checkpoint({}, path, storage_options={"a": 1})
    with pytest.raises(ValueError, match="every 0 steps"):
        RunCheckpoints(tmp_path, every_n_steps=0)


@QUIET
def test_hyperparameters_rebuild_the_network(tmp_path):
    options = {"depth": 18, "width": 0.1}
    with pytest.raises(ValueError, match=r"block_size of the network follows from the data.*Set data.block_size"):
        Classifier("late_concat", ["x", "y"], options | {"block_size": 4})
    model = Classifier("late_concat", ["x", "y"], options, image_size=32, resize_size=36, block_size=[4, 2])
    sizes = ((16, 8, 8), (4, 8, 8), (4, 8, 8))
    planes = Coefficients(*(torch.randn(2, *size, generator=torch.Generator().manual_seed(0)) for size in sizes))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    batch = Batch(planes, torch.tensor([0, 1]), torch.tensor([0, 1]), 2, ())
    trainer.validate(model, DataLoader([batch], batch_size=None), verbose=False)
    trainer.save_checkpoint(tmp_path / "net.ckpt")
    saved = content(tmp_path / "net.ckpt")["hyper_parameters"]
    assert saved["classes"] == ["x", "y"] and saved["block_size"] == (4, 2) and saved["resize_size"] == 36
    again = Classifier.load_from_checkpoint(tmp_path / "net.ckpt", weights_only=True)
    assert torch.equal(model.eval()(planes), again.eval()(planes))


@QUIET
def test_broken_files_do_not_stop_training(tmp_path):
    model = Classifier(nn.Sequential(Luma(), nn.Linear(64, 3)), CLASSES, lr=0.01)
    trainer = Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False,
                      enable_model_summary=False, enable_checkpointing=False)  # fmt: skip
    train = KeyedLoader(Noise(8, broken=(2,)), 1, shuffle=True, max_broken=0.2)  # batches of one: one of them is empty
    with pytest.warns(UserWarning, match=r"1 of 8 files could not be read, left out: 2\.jpg \(byte 7: made to fail\)"):
        trainer.fit(model, train, KeyedLoader(Noise(4), 4))
    assert trainer.global_step == 16


def test_network_draws_are_keyed_by_seed_step_and_rank():
    model = Classifier(Net(), CLASSES, seed=4)
    model.on_train_batch_start(batch_of([0]), 0)
    drawn = torch.rand(3)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(mix(4, 0, 0))))


MIXED = {"mixup": 0.4, "cutmix": 1.0, "block_size": 2, "image_size": 8}


@QUIET
@pytest.mark.parametrize("when", [3, 9])
def test_a_run_that_mixes_resumes_to_the_bit(tmp_path, when):
    fit(tmp_path / "straight", **MIXED)
    fit(tmp_path / "stopped", StopAt("step", when), **MIXED)
    fit(tmp_path / "stopped", resume=tmp_path / "stopped" / "last.ckpt", seed=99, **MIXED)
    fit(tmp_path / "plain", block_size=2, image_size=8)
    straight, stopped, plain = (content(tmp_path / name / "last.ckpt") for name in ("straight", "stopped", "plain"))
    assert_equal_states(stopped, straight)
    assert not torch.equal(straight["state_dict"]["network.fc.weight"], plain["state_dict"]["network.fc.weight"])


def test_the_loss_is_that_of_the_mixed_batch():
    """Both kinds come; labels are shares and smoothed; a broken file counts zero; the draws are keyed by seed, step and rank."""
    model = Classifier(Net(), CLASSES, label_smoothing=0.1, seed=7, **MIXED).eval()
    model.log = lambda *a, **k: None
    batch = batch_of([0, 1, 2, 5, 8], planned=6)
    kinds = set()
    for step in range(12):
        model.trainer = SimpleNamespace(global_step=step, global_rank=0)
        generator = torch.Generator().manual_seed(mix(7, step, 0, 1))
        kind = torch.randint(2, (1,), generator=generator).item()
        kinds.add(kind)
        if kind == 0:
            lam = MixUp(alpha=0.4).draw_lam(1, generator).item()
            planes, shares = mixup(batch.coefficients, batch.labels, lam, 3)
        else:
            box = [number.item() for number in CutMix(alpha=1.0).draw(1, (8, 8), generator)]
            planes, shares = cutmix(batch.coefficients, batch.labels, *box, 3)
        by_hand = -((shares * 0.9 + 0.1 / 3) * model(planes).log_softmax(1)).sum() / 6
        torch.testing.assert_close(model.training_step(batch, 0), by_hand)
    assert kinds == {0, 1}
    one = batch_of([4])
    torch.testing.assert_close(
        model.training_step(one, 0), F.cross_entropy(model(one.coefficients), one.labels, label_smoothing=0.1)
    )
    nothing = Batch(None, torch.zeros(0).long(), torch.zeros(0).long(), 2, (Broken("a", "b"), Broken("c", "d")))
    assert model.training_step(nothing, 0) == 0


def test_selected_bands_take_mixup_alone():
    batch = batch_of([0, 1, 2])
    few = batch._replace(coefficients=batch.coefficients._replace(cb=batch.coefficients.cb[:, :1]))
    settings = {"block_size": 2, "image_size": 8}
    Classifier(Net(), CLASSES, mixup=0.2, **settings).mixed(few)
    with pytest.raises(ValueError, match=r"cutmix needs all 4 bands of blocks of 2; plane cb has 1 bands.*mixup alone"):
        Classifier(Net(), CLASSES, cutmix=0.2, **settings).mixed(few)
    for name in ("mixup", "cutmix"):
        with pytest.raises(ValueError, match=rf"^{name} is the alpha .* greater than 0, or null; got 0"):
            Classifier(Net(), CLASSES, **{name: 0.0})
