"""``dctnet fit``, ``validate`` and ``test``: Lightning's command line over a run's YAML file."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from dctnet.data.folder import DataError
from dctnet.data.module import DCTDataModule
from dctnet.data.series import SeriesDataModule, is_of_series
from dctnet.packaged import packaged_file, packaged_names
from dctnet.training.accuracy import Sums
from dctnet.training.checkpoints import AtomicCheckpointIO, RunCheckpoints, read_checkpoint
from dctnet.training.classifier import Classifier
from dctnet.training.progress import Bar, EpochTable, Throughput

# (text, why the user need not read it)
SILENCED = (
    "LightningCLI's args parameter",  # dctnet's own main passes the arguments on
    ".*does not have many workers",  # the run's file decides
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # inside Lightning
    "You're using the WeightAveraging callback, but loading a checkpoint outside",  # its state_dict is the average
    "Be aware that when using `ckpt_path`, callbacks",  # validating needs no callback
    ".*in eval mode at the start of training",  # a frozen transform stays in eval mode by design
    ".*is smaller than the logging interval",  # metrics.csv has every epoch
    ".*GPU available but not used",  # --trainer.accelerator was given
)


class RunCLI(LightningCLI):
    """Lightning's command line with dctnet's classes, and one folder for all that a run writes.

    ``trainer.default_root_dir`` is the run's folder: last.ckpt, best.ckpt, metrics.csv, config.yaml, tensorboard/. The
    class names and the sizes go from the data to the network, and ``seed_everything`` is the one seed.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The links between data and network, and dctnet's own options."""
        parser.add_argument(
            "--checkpoint_every_n_steps",
            type=int | None,
            default=None,
            help="Also write last.ckpt every so many steps, besides at the end of each epoch.",
        )
        parser.add_argument(
            "--overwrite", type=bool, default=False, help="Start over in a run folder that holds a run already."
        )
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        if self.datamodule_class is SeriesDataModule:
            found = ("channels", "classes")
        else:
            for name in ("image_size", "block_size"):
                parser.link_arguments(f"data.{name}", f"model.{name}")
            found = ("resize_size", "bands", "mean", "std", "classes")
        for name in found:  # known when the data are there
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's, without predict: dctnet has its own."""
        return {name: skip for name, skip in LightningCLI.subcommands().items() if name != "predict"}

    def _parse_ckpt_path(self) -> None:
        """The run's file says what the network is; Lightning would have the checkpoint override the command line."""

    def before_instantiate_classes(self) -> None:
        """Turn the names last and best into files, and refuse to write over a run."""
        config = self.config[self.subcommand]
        folder = Path(config.trainer.default_root_dir or "runs/unnamed")
        config.trainer.default_root_dir = str(folder)
        if "weights_only" in config:
            config.weights_only = True
        self.folder = folder
        if self.subcommand == "fit":
            held = [name for name in ("last", "best") if (folder / f"{name}.ckpt").exists()]
            if config.ckpt_path is None and held and not config.overwrite:
                raise DataError(
                    f"{folder} holds a run already. Go on with it: --ckpt_path {held[0]}. Start over: --overwrite true. "
                    "Use another folder: --trainer.default_root_dir FOLDER."
                )
        else:
            if config.ckpt_path is None:
                # A run without validation has no best epoch.
                only_last = not (folder / "best.ckpt").exists() and (folder / "last.ckpt").exists()
                config.ckpt_path = "last" if only_last else "best"
                if only_last:
                    print(f"{folder} has no best.ckpt, its run did not validate; taking last.ckpt", file=sys.stderr)
            config.verbose = False  # `_report` says it
        if config.ckpt_path in ("last", "best"):
            config.ckpt_path = str(folder / f"{config.ckpt_path}.ckpt")
        if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise DataError(
                f"there is no checkpoint {config.ckpt_path}. Train first (`dctnet fit`), or give --ckpt_path FILE, or the "
                "run's folder with --trainer.default_root_dir."
            )

    def instantiate_trainer(self, **options: Any) -> Trainer:
        """The Trainer, with the run's loggers and callbacks, and without a sampler of its own."""
        given = self._get(self.config_init, "trainer")
        options = {"use_distributed_sampler": False, **options}
        if self.subcommand == "fit":
            every = self._get(self.config_init, "checkpoint_every_n_steps")
            throughput = Throughput()
            options["callbacks"] = [
                *(given.get("callbacks") or []),
                throughput,
                EpochTable(self.folder / "metrics.csv", throughput),
                RunCheckpoints(self.folder, every_n_steps=every),
            ]
            if given.get("logger") in (None, True):
                options["logger"] = TensorBoardLogger(self.folder, name="", version="tensorboard")
        else:
            options["logger"] = False
        options["plugins"] = [*(given.get("plugins") or []), AtomicCheckpointIO()]
        if given.get("enable_progress_bar") is None:
            options["enable_progress_bar"] = sys.stdout.isatty()
        if options.get("enable_progress_bar", given.get("enable_progress_bar")):
            options["callbacks"] = [*options.get("callbacks", given.get("callbacks") or []), Bar()]
        try:
            return super().instantiate_trainer(**options)
        except (MisconfigurationException, ValueError) as error:  # such as an accelerator that is not there
            raise DataError(f"the trainer's settings do not work here: {error}") from error

    def before_fit(self) -> None:
        """Keep the run's settings beside its results; a run that starts anew removes what the old one left."""
        self._same_network()
        if isinstance(self.datamodule, DCTDataModule):
            self.datamodule.broken_list = self.folder / "broken.csv"
        if rank_zero_only.rank == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._get(self.config, "ckpt_path") is None:
                events = (self.folder / "tensorboard").glob("events.out.tfevents.*")
                for path in (*(self.folder / name for name in ("last.ckpt", "best.ckpt", "broken.csv")), *events):
                    path.unlink(missing_ok=True)
            # What says how to start belongs to this start alone: with it the saved file would write over the run.
            settings = self.config["fit"].clone()
            for name in ("overwrite", "ckpt_path"):
                settings.pop(name, None)
            self._parser("fit").save(
                settings, str(self.folder / "config.yaml"), skip_none=False, overwrite=True, multifile=False
            )

    def before_validate(self) -> None:
        """Refuse the checkpoint of another network."""
        self._same_network()

    def before_test(self) -> None:
        """Refuse the checkpoint of another network."""
        self._same_network()

    def _same_network(self) -> None:
        """DataError where the checkpoint holds another network, or one of other classes or blocks, than these settings say.

        Another image size is allowed: networks of convolutions take it.
        """
        path = self._get(self.config, "ckpt_path")
        if path is None:
            return
        trained, now = read_checkpoint(path).get("hyper_parameters", {}), self.model.hparams
        for name in ("classes", "block_size", "bands", "mean", "std", "channels", "network", "options"):
            if name in trained and trained[name] != now[name]:
                raise DataError(
                    f"{path} was trained with {name} {_short(trained[name])}, these settings and files have "
                    f"{_short(now[name])}. Give the data and settings of that run (config.yaml in its folder), or another "
                    "--ckpt_path."
                )

    def after_fit(self) -> None:
        """Say where the results are."""
        if self.trainer.is_global_zero:
            best = next(callback.best for callback in self.trainer.callbacks if isinstance(callback, RunCheckpoints))
            if not (self.folder / "last.ckpt").exists():
                print(f"no epoch was trained, there is no checkpoint in {self.folder}")
                return
            found = "no validation, so no best.ckpt" if best < 0 else f"best validation top-1 {100 * best:.2f} %"
            print(f"{found}  checkpoints and logs in {self.folder}")

    def after_validate(self) -> None:
        """Print the result."""
        self._report("val")

    def after_test(self) -> None:
        """Print the result."""
        self._report("test")

    def _report(self, stage: str) -> None:
        if self.trainer.is_global_zero:
            loss, top1, top5 = (float(self.trainer.callback_metrics[f"{stage}_{name}"]) for name in Sums.NAMES)
            if isinstance(self.datamodule, SeriesDataModule):
                test = self.datamodule.series.test
                seen = f"{len(test.labels)} series in {test.path}"
            else:
                files = self.datamodule.val_set if stage == "val" else self.datamodule.test_set
                seen = f"{len(files)} files in {files.root}"
            print(f"{stage} loss {loss:.4f}  top-1 {100 * top1:.2f} %  top-5 {100 * top5:.2f} %  {seen}")


def _short(value: Any) -> str:
    """A list of many names by its number and its first five."""
    if isinstance(value, (list, tuple)) and len(value) > 5:
        return f"{len(value)}: {', '.join(map(str, value[:5]))}, ..."
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def run_trainer(command: str, arguments: list[str], data: type[LightningDataModule] | None = None) -> None:
    """``dctnet COMMAND``: arguments as Lightning's command line, where ``--config`` may name a run that comes with dctnet.

    ``data``: a class of one's own in place of ``DCTDataModule`` or ``SeriesDataModule``.
    """
    for text in SILENCED:
        warnings.filterwarnings("ignore", message=text)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    arguments = resolve_configs(arguments)
    RunCLI(
        Classifier,
        data or data_class(arguments),
        save_config_callback=None,
        seed_everything_default=0,
        trainer_defaults={"enable_model_summary": False},
        parser_kwargs={"prog": "dctnet"},
        args=[command, *arguments],
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
    )


def data_class(arguments: list[str]) -> type[LightningDataModule]:
    """The data of a run: ``SeriesDataModule`` where a file of ``--config`` has settings of it, else ``DCTDataModule``.

    What is wrong with a file is left to the command line to say, which reads it again.
    """
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    named = [word.partition("=")[2] or after for word, after in pairs if word.partition("=")[0] in ("--config", "-c")]
    for path in named:
        try:
            run = yaml.safe_load(Path(path).read_text())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        data = run.get("data") if isinstance(run, dict) else None
        if isinstance(data, dict) and is_of_series(data):
            return SeriesDataModule
    return DCTDataModule


def resolve_configs(arguments: list[str]) -> list[str]:
    """``arguments`` with each ``--config NAME`` (or ``-c``) replaced by the path of the run called NAME.

    FileNotFoundError where there is neither such a file nor such a run, or no ``--config`` is given at all.
    """
    resolved, is_config = [], False
    seen = any(
        argument in ("-h", "--help") or argument.startswith(("--help.", "--print_config")) for argument in arguments
    )
    for argument in arguments:
        flag, joined, value = argument.partition("=")
        if is_config or (joined and flag in ("--config", "-c")):
            value = argument if is_config else value
            path = value if os.path.isfile(value) else str(packaged_file("configs", value))
            argument, seen = path if is_config else f"{flag}={path}", True
        is_config = not joined and argument in ("--config", "-c")
        resolved.append(argument)
    if not seen:
        raise FileNotFoundError(
            f"say which run: --config NAME_OR_FILE; the runs that come with dctnet: {', '.join(packaged_names('configs'))}"
        )
    return resolved
