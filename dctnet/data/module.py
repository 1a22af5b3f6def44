"""A LightningDataModule over ``root/train/CLASS/`` and ``root/val/CLASS/``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule

from dctnet.bands import BandSet, bands_of
from dctnet.coefficients import block_sizes
from dctnet.data.dali_loader import DALILoader
from dctnet.data.folder import DataError, FileList, JPEGFolder, Transform, find_classes, find_images
from dctnet.data.passes import check_settings
from dctnet.data.store import StoreFolder
from dctnet.data.store_index import is_store
from dctnet.data.stream_loader import StreamLoader, is_pattern, open_shards
from dctnet.data.torch_loader import KeyedLoader
from dctnet.data.webdataset_shards import TarFolder
from dctnet.transforms.augment import RandAugment, ThreeAugment, TrivialAugmentWide
from dctnet.transforms.compose import Compose
from dctnet.transforms.erasing import RandomErasing
from dctnet.transforms.frequency import SelectBands
from dctnet.transforms.geometric import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, Resize
from dctnet.transforms.normalize import Normalize
from dctnet.transforms.photometric import Photometric

AUGMENT = {
    "none": (),
    "randaugment": (RandAugment(fill=128),),
    "trivialaugment": (TrivialAugmentWide(fill=128),),
    "threeaugment": (ThreeAugment(),),
}


def evaluation_transform(
    resize_size: int, image_size: int, block_size: int | tuple[int, int], ending: Sequence[Photometric] = ()
) -> Compose:
    """Shorter side to ``resize_size``, the central square of ``image_size``, the ``ending``: what validation and predict do."""
    return Compose([Resize(resize_size), CenterCrop(image_size), *ending], block_size=block_size)


Numbers = Sequence[Sequence[float]]  # one for each band of Y, Cb and Cr


def ending(bands: BandSet, mean: Numbers | None, std: Numbers | None) -> list[Photometric]:
    """What a network wants last: the ``bands`` that it reads (None: all), each with its ``mean`` and ``std`` (None: as it is)."""
    chosen = [] if bands is None else [SelectBands(bands)]
    return chosen if mean is None else [*chosen, Normalize(mean, std)]


def open_folder(
    root: Path, transform: Transform | None, loader: str, *, seed: int, classes: list[str] | None = None
) -> JPEGFolder | TarFolder | StoreFolder:
    """The data set in ``root`` for the ``loader``; DataError where it needs another one."""
    if loader == "store":
        return StoreFolder(root, transform, seed=seed, classes=classes)
    if is_store(root):
        raise DataError(f"{root} is a packed store; read it with --data.loader store")
    kind = TarFolder if any(root.glob("*.tar")) else JPEGFolder
    return kind(root, transform, seed=seed, classes=classes)


class DCTDataModule(LightningDataModule):
    """Training and validation batches from a folder of JPEG files in ImageFolder layout, WebDataset tars, or a packed store.

    ``root`` holds ``train/`` and ``val/``, and maybe ``test/`` (``test`` uses ``val/`` where it is absent); ``predict``
    takes every JPEG file below ``root``, or ``root/predict`` if that exists. Training draws
    ``RandomResizedCrop(image_size, scale, ratio)``, ``RandomHorizontalFlip(flip)``, what ``augment`` names and, where
    ``erasing`` is not 0, ``RandomErasing(erasing, value=128)``; validation does ``Resize(resize_size)`` (default: 256/224 of
    ``image_size``) and ``CenterCrop(image_size)``. Both end with ``SelectBands(bands)`` and ``Normalize``, where asked for: the
    attributes ``bands`` (three lists of channels), ``mean`` and ``std`` say which, for the network. All draws and the order
    are keyed by ``seed``.

    ``batch_size`` counts the samples of a training step over *all* processes, so a run does not change with their
    number. ``broken_list`` (an attribute, None at first) is the CSV file that names the files that cannot be read.
    Training drops the last, incomplete batch of an epoch; validation sees each file exactly once over all
    ranks. ``block_size`` is a number or a pair (luma, chroma).

    ``root`` may also be a pattern of WebDataset tars that the package webdataset opens, ``s3://bucket/x-{000..146}.tar`` or
    ``pipe:COMMAND``: training streams them (``stream_loader.StreamLoader``). They are training pictures alone; ``val_root``
    names the folder of the others, without it there is no validation.

    Args:
        root: folder that holds train/ and val/; or a pattern of WebDataset tars for training, such as s3://bucket/x-{00..99}.tar.
        image_size: height and width of the pictures the network sees, in pixels.
        resize_size: length of the shorter side before the central crop of validation.
        block_size: blocks of luma and chroma: one number, or two.
        batch_size: samples of one training step, over all processes.
        workers: reading threads for each training process, or processes where Python transforms (``augment``, ``erasing``; not
            with dali); 0 reads in between.
        seed: key of the order and of the augmentation.
        scale: share of the picture's area that a training crop may take, from and to.
        ratio: width over height of a training crop, from and to.
        flip: probability that a training picture is mirrored.
        augment: a policy for training pictures after the crop and the flip, with its usual settings (``transforms.augment``).
        erasing: probability that a box of a training picture is erased to mid-gray.
        bands: frequencies that the network reads, in blocks of 8: 24, zigzag-16, or another form of dctnet.bands; null for all.
        statistics: card of dctnet stats, or the name of one that comes with dctnet, by which each band is normalised; null for
            none.
        max_broken: share of unreadable files above which a run stops; up to it they are left out and named.
        prefetch: batches that each worker reads ahead.
        loader: torch reads JPEG files, or WebDataset tars of them in root/train/*.tar; dali reads the same on threads
            of the training process, and transforms on its device; store reads what dctnet pack wrote.
        val_root: folder of the validation pictures where it is not root/val.
        samples: where root is a pattern of tars, the pictures that they hold together: those of an epoch.
        class_names: where root is a pattern of tars, a JSON file with the names of its labels.
    """

    def __init__(
        self,
        root: str,
        image_size: int = 224,
        resize_size: int | None = None,
        block_size: int | tuple[int, int] = 8,
        batch_size: int = 32,
        workers: int = 2,
        seed: int = 0,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        augment: Literal["none", "randaugment", "trivialaugment", "threeaugment"] = "none",
        erasing: float = 0.0,
        bands: int | str | list[Any] | dict[str, Any] | None = None,
        statistics: str | None = None,
        max_broken: float = 0.01,
        prefetch: int = 2,
        loader: Literal["torch", "dali", "store"] = "torch",
        val_root: str | None = None,
        samples: int | None = None,
        class_names: str | None = None,
    ):
        super().__init__()
        check_settings(batch_size, workers, prefetch, max_broken)
        if image_size < 1:
            raise ValueError(f"image_size is a number of pixels, at least 1; got {image_size}")
        self.shards = open_shards(root, samples, class_names) if is_pattern(root) else None
        self.root = Path(root)
        self.val_root = Path(val_root) if val_root is not None else None if self.shards else self.root / "val"
        self.image_size = image_size
        self.resize_size = round(image_size * 256 / 224) if resize_size is None else resize_size
        if self.resize_size < image_size:
            raise ValueError(
                f"resize_size {self.resize_size} is smaller than image_size {image_size}: the central crop would not fit"
            )
        self.block_size = block_size if isinstance(block_size, int) else tuple(block_size)
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.max_broken, self.prefetch = max_broken, prefetch
        if loader not in ("torch", "dali", "store"):
            raise ValueError(f"loader is torch, dali or store; got {loader!r}")
        if not 0 <= erasing <= 1:
            raise ValueError(f"erasing is a probability in [0, 1]; got {erasing}")
        if self.shards is not None and loader != "torch":
            raise ValueError(f"a pattern of tars is read by --data.loader torch; got {loader}")
        self.loader = loader
        self.broken_list: Path | None = None
        training = [RandomResizedCrop(image_size, scale=scale, ratio=ratio), RandomHorizontalFlip(flip)]
        if augment not in AUGMENT:
            raise ValueError(f"augment is one of {sorted(AUGMENT)}; got {augment!r}")
        training += AUGMENT[augment]
        if erasing > 0:
            training.append(RandomErasing(erasing, value=128))
        self.bands = None if bands is None else [list(plane) for plane in bands_of(bands)]
        self.mean, self.std = (None, None) if statistics is None else self._figures(statistics)
        last = ending(self.bands, self.mean, self.std)
        self.train_transform = Compose([*training, *last], block_size=self.block_size)
        self.eval_transform = evaluation_transform(self.resize_size, image_size, self.block_size, last)

    def _figures(self, card: str) -> tuple[list[list[float]], list[list[float]]]:
        """Mean and deviation of the bands that are left; ValueError where the card is of other blocks."""
        figures = Normalize.from_card(card, self.bands)
        luma, chroma = block_sizes(self.block_size)
        if self.bands is None and [len(plane) for plane in figures.mean] != [luma**2, chroma**2, chroma**2]:
            raise ValueError(
                f"the card {card} holds {[len(plane) for plane in figures.mean]} bands of Y, Cb and Cr; blocks of {luma} and "
                f"{chroma} have {luma**2} and {chroma**2}. Measure one with dctnet stats --block_size."
            )
        return tuple([plane.tolist() for plane in values] for values in (figures.mean, figures.std))

    @cached_property
    def classes(self) -> list[str]:
        """The class names of the training files. DataError where there are none."""
        if self.shards is not None:
            return self.shards.classes
        root = self.root / "train"
        if self.loader != "store" and not is_store(root) and not any(root.glob("*.tar")):
            return find_classes(root)
        return open_folder(root, None, self.loader, seed=self.seed).classes

    @cached_property
    def train_set(self) -> JPEGFolder | TarFolder | StoreFolder:
        """The training files."""
        return self._open(self.root / "train", self.train_transform)

    @cached_property
    def val_set(self) -> JPEGFolder | TarFolder | StoreFolder:
        """The validation files. DataError where only training tars are known."""
        if self.val_root is None:
            raise DataError("tars that are streamed are for training; name a folder of others: --data.val_root FOLDER")
        return self._open(self.val_root, self.eval_transform)

    @cached_property
    def test_set(self) -> JPEGFolder | TarFolder | StoreFolder:
        """The test files; those of validation where ``root/test`` is absent."""
        folder = self.root / "test"
        return self._open(folder, self.eval_transform) if self.shards is None and folder.is_dir() else self.val_set

    def _open(self, folder: Path, transform: Compose) -> JPEGFolder | TarFolder | StoreFolder:
        return open_folder(folder, transform, self.loader, seed=self.seed, classes=self.classes)

    @cached_property
    def predict_set(self) -> FileList:
        """All files below ``root/predict``, or below ``root``. DataError where that is a pattern of tars."""
        if self.shards is not None:
            raise DataError("tars that are streamed are for training; name files or folders to `dctnet predict`")
        folder = self.root / "predict"
        return FileList(find_images(folder if folder.is_dir() else self.root), self.eval_transform, seed=self.seed)

    def train_dataloader(self) -> KeyedLoader | DALILoader | StreamLoader:
        """Shuffled, incomplete last batch dropped."""
        if self.shards is not None:
            common = {"workers": self.workers, "pin_memory": torch.cuda.is_available(), **self._common()}
            return StreamLoader(self.shards, self.train_transform, self.batch_size, **common)
        return self._loader(self.train_set, shuffle=True, drop_last=True)

    def val_dataloader(self) -> KeyedLoader | DALILoader | list[Any]:
        """In order, each file once; none where only training tars are known."""
        return [] if self.val_root is None else self._loader(self.val_set)

    def test_dataloader(self) -> KeyedLoader | DALILoader:
        """In order, each file once."""
        return self._loader(self.test_set)

    def predict_dataloader(self) -> KeyedLoader | DALILoader:
        """In order, each file once; no labels (-1)."""
        return self._loader(self.predict_set)

    def _loader(
        self,
        dataset: JPEGFolder | TarFolder | StoreFolder | FileList,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
    ) -> KeyedLoader | DALILoader:
        order = {"shuffle": shuffle, "drop_last": drop_last, **self._common()}
        if self.loader == "dali":
            device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
            number = device.index or 0 if device.type == "cuda" else None
            return DALILoader(dataset, self.batch_size, threads=max(self.workers, 1), device=number, **order)
        pin_memory = torch.cuda.is_available()
        return KeyedLoader(dataset, self.batch_size, workers=self.workers, pin_memory=pin_memory, **order)

    def _common(self) -> dict[str, Any]:
        """What all loaders are told."""
        return {
            "seed": self.seed,
            "rank": self.trainer.global_rank if self.trainer is not None else 0,
            "ranks": self.trainer.world_size if self.trainer is not None else 1,
            "prefetch": self.prefetch,
            "max_broken": self.max_broken,
            "broken_list": self.broken_list,
        }
