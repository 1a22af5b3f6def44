"""On what a figure was measured: the processor, the GPU, the versions, the state of the source."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from dctnet.source_tree import commit


def cpu_model() -> str:
    """The name of the processor, as far as the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def measured_with(device: str | torch.device = "cpu") -> dict[str, str | None]:
    """What a row of results says of its origin: ``commit``, ``cpu``, ``torch`` and, of a CUDA device, ``gpu``."""
    about: dict[str, str | None] = {"commit": commit(), "cpu": cpu_model(), "torch": torch.__version__}
    device = torch.device(device)
    return about | ({"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {})
