"""The loaders that ``dctnet bench loaders`` measures: ours, and the usual pipelines from JPEG files, where installed.

All deliver batches of the same pictures: a random box of 8 to 100 % of the area, resampled to 224 x 224 with antialiasing,
mirrored in half of the cases, normalised, float32. Peers deliver RGB; ours and jpeg2dct coefficients in blocks of 8.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dctnet.coefficients import Coefficients, stack
from dctnet.data.dali_loader import DALILoader
from dctnet.data.dali_pipeline import load_dali
from dctnet.data.folder import FileList
from dctnet.data.store import StoreFolder
from dctnet.data.stream_loader import Shards, StreamLoader
from dctnet.data.torch_loader import KeyedLoader
from dctnet.data.webdataset_shards import TarFolder
from dctnet.transforms.compose import Compose
from dctnet.transforms.geometric import RandomHorizontalFlip, RandomResizedCrop
from dctnet.transforms.normalize import Normalize

SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Job(NamedTuple):
    """What each loader has to do: these files (or their store or tars) in batches, by so many workers (0: the process itself)."""

    paths: list[str]
    store: str | None
    tars: str | None
    batch_size: int
    workers: int


Pass = Callable[[], Iterator[Any]]  # iterates once over all batches


def our_transform() -> Compose:
    """Crop, flip and normalisation of coefficients."""
    bands = [[0.0] * 64] * 3, [[32.0] * 64] * 3
    return Compose([RandomResizedCrop(SIZE), RandomHorizontalFlip(), Normalize(*bands)], block_size=8)


def ours_torch(job: Job) -> Pass:
    """``data.loader: torch``."""
    loader = KeyedLoader(FileList(job.paths, our_transform()), job.batch_size, shuffle=True, workers=job.workers)
    return lambda: iter(loader)


def ours_dali(job: Job) -> Pass:
    """``data.loader: dali`` on the CPU."""
    data = FileList(job.paths, our_transform())
    loader = DALILoader(data, job.batch_size, shuffle=True, threads=max(job.workers, 1))
    return lambda: iter(loader)


def ours_store(job: Job) -> Pass:
    """``data.loader: store``."""
    loader = KeyedLoader(StoreFolder(job.store, our_transform()), job.batch_size, shuffle=True, workers=job.workers)
    return lambda: iter(loader)


def ours_tars(job: Job) -> Pass:
    """``data.root`` is a folder of WebDataset tars: random access."""
    loader = KeyedLoader(TarFolder(job.tars, our_transform()), job.batch_size, shuffle=True, workers=job.workers)
    return lambda: iter(loader)


def ours_stream(job: Job) -> Pass:
    """``data.root`` is a pattern of the same tars: from front to back, a buffer of 256 pictures."""
    tars = TarFolder(job.tars)
    shards = Shards([str(path) for path in tars.tars], len(tars), tars.classes)
    loader = StreamLoader(shards, our_transform(), job.batch_size, workers=job.workers, shuffle=256)
    return lambda: iter(loader)


class Pictures(Dataset[Any]):
    """What ``torchvision.datasets.ImageFolder`` does with a list of files: read, then transform."""

    def __init__(self, paths: list[str], read: Callable[..., Any], transform: Callable[..., Any]):
        self.paths, self.read, self.transform = paths, read, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.read(self.paths[index]))


def _pictures(job: Job, read: Callable[..., Any], first: tuple[Any, ...] = (), **options: Any) -> Pass:
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, antialias=True),
            v2.RandomHorizontalFlip(),
            *first,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return _loader(job, Pictures(job.paths, read, transform), **options)


def _loader(job: Job, data: Dataset[Any], **options: Any) -> Pass:
    loader = DataLoader(
        data, job.batch_size, shuffle=True, num_workers=job.workers, persistent_workers=job.workers > 0, **options
    )
    return lambda: iter(loader)


def _bytes(path: str) -> torch.Tensor:
    return torch.from_numpy(np.fromfile(path, np.uint8))


def _read_torchvision(path: str) -> torch.Tensor:
    from torchvision.io import ImageReadMode, decode_jpeg

    return decode_jpeg(_bytes(path), mode=ImageReadMode.RGB)


def _read_pillow(path: str) -> torch.Tensor:
    from PIL import Image

    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


def _read_simplejpeg(path: str) -> torch.Tensor:
    import simplejpeg

    with open(path, "rb") as file:
        return torch.from_numpy(simplejpeg.decode_jpeg(file.read())).permute(2, 0, 1)


def _read_torchcodec(path: str) -> torch.Tensor:
    from torchcodec.decoders import ImageReadMode, decode_jpeg

    return decode_jpeg(_bytes(path), mode=ImageReadMode.RGB)


def _read_jpeg2dct(path: str) -> Coefficients:
    import jpeg2dct.numpy as jpeg2dct

    return Coefficients(*(torch.from_numpy(np.asarray(plane)).permute(2, 0, 1) for plane in jpeg2dct.load(path)))


def torchvision(job: Job) -> Pass:
    """``decode_jpeg`` and the transforms v2 on tensors."""
    return _pictures(job, _read_torchvision)


def pillow(job: Job) -> Pass:
    """``Image.open``, crop and flip by Pillow."""
    from torchvision.transforms import v2

    return _pictures(job, _read_pillow, (v2.ToImage(),))


def simplejpeg(job: Job) -> Pass:
    """``simplejpeg.decode_jpeg`` and the transforms v2."""
    return _pictures(job, _read_simplejpeg)


def torchcodec(job: Job) -> Pass:
    """``torchcodec.decoders.decode_jpeg`` and the transforms v2."""
    return _pictures(job, _read_torchcodec)


def jpeg2dct(job: Job) -> Pass:
    """``jpeg2dct.numpy.load`` and our transforms, picture by picture."""
    return _loader(job, Pictures(job.paths, _read_jpeg2dct, our_transform()), collate_fn=stack)


def dali_rgb(job: Job) -> Pass:
    """DALI's reader, decoder with random crop, resize, mirror and normalisation, on the CPU."""
    dali = load_dali()
    fn, types = dali.fn, dali.types
    pipeline = dali.Pipeline(job.batch_size, max(job.workers, 1), None, prefetch_queue_depth=2, seed=0)
    with pipeline:
        data, _ = fn.readers.file(files=job.paths, random_shuffle=True, initial_fill=256)
        crops = fn.decoders.image_random_crop(
            data, random_area=(0.08, 1.0), random_aspect_ratio=(3 / 4, 4 / 3), output_type=types.RGB
        )
        small = fn.resize(crops, resize_x=SIZE, resize_y=SIZE, interp_type=types.INTERP_LINEAR, antialias=True)
        pipeline.set_outputs(
            fn.crop_mirror_normalize(
                small,
                mirror=fn.random.coin_flip(),
                mean=[255 * value for value in MEAN],
                std=[255 * value for value in STD],
                dtype=types.FLOAT,
                output_layout="CHW",
            )
        )
    pipeline.build()
    batches = len(job.paths) // job.batch_size

    def one_pass() -> Iterator[torch.Tensor]:
        for (pictures,) in drained(pipeline, batches):
            yield torch.from_dlpack(pictures.as_tensor())

    return one_pass


def drained(pipeline: Any, batches: int, ahead: int = 2) -> Iterator[tuple[Any, ...]]:
    """The outputs of so many batches of a DALI pipeline, ``ahead`` under way at a time and none when the pass is over.

    ``pipeline.run`` would prepare batches of the next pass while the other loader is timed.
    """
    scheduled = 0
    for batch in range(batches):
        while scheduled < min(batch + ahead, batches):
            pipeline.schedule_run()
            scheduled += 1
        yield pipeline.share_outputs()
        pipeline.release_outputs()


LOADERS: dict[str, Callable[[Job], Pass]] = {
    "dctnet": ours_torch,
    "dctnet, DALI": ours_dali,
    "dctnet, store": ours_store,
    "dctnet, WebDataset tars": ours_tars,
    "dctnet, WebDataset stream": ours_stream,
    "DALI (RGB)": dali_rgb,
    "torchvision (RGB)": torchvision,
    "Pillow (RGB)": pillow,
    "simplejpeg (RGB)": simplejpeg,
    "torchcodec (RGB)": torchcodec,
    "jpeg2dct": jpeg2dct,
}
MODULES = {
    "dctnet, DALI": "nvidia.dali",
    "DALI (RGB)": "nvidia.dali",
    "simplejpeg (RGB)": "simplejpeg",
    "torchcodec (RGB)": "torchcodec",
    "jpeg2dct": "jpeg2dct",
}


NOT_MEASURED = {"FFCV (RGB)": "not measured: ffcv 1.0.2, the newest release, does not install with pip alone"}


def missing() -> dict[str, str]:
    """The loaders that do not run here, and why."""
    reasons = {}
    for name, module in MODULES.items():
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:  # torchcodec looks for its libraries
            absent = isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == module.split(".")[0]
            reasons[name] = "not installed" if absent else f"does not load: {str(error).splitlines()[0]}"
    return reasons | NOT_MEASURED
