"""``dctnet export``: from a checkpoint to an ONNX file that says itself what its inputs are."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import torch

from dctnet.models.exported import INPUTS, example, onnx_bytes
from dctnet.training.classifier import Classifier
from dctnet.training.predict import load_classifier
from dctnet.whole_file import write_whole

NEEDED = ("classes", "network", "options", "image_size", "resize_size", "block_size", "bands", "mean", "std")


def metadata(classifier: Classifier) -> dict[str, str]:
    """What one has to know to use the network, each value as JSON.

    ``classes`` name the logits; a picture is resized to ``resize_size`` on its shorter side and cropped to ``image_size``, its
    planes are in blocks of ``block_size`` (luma, chroma), of which the channels ``bands`` are kept (null: all), less ``mean``
    and over ``std`` (null: as they are).
    """
    return {name: json.dumps(classifier.hparams.get(name)) for name in NEEDED}


def export_checkpoint(checkpoint: str | Path, out: str | Path, larger: bool = False) -> float | None:
    """Write the network of a checkpoint of ``dctnet fit`` as the ONNX file ``out``, for batches of any number.

    Its inputs y, cb and cr are float32 planes as the transform of ``dctnet predict`` makes them, its output are the logits.
    ``larger`` as in ``models.exported``. Returns the greatest difference of a logit between onnxruntime and torch on random
    planes, None where onnxruntime is not installed.
    """
    classifier = load_classifier(checkpoint)
    network, size = classifier.network.float(), classifier.hparams.image_size
    write_whole(out, onnx_bytes(network, size, larger, metadata(classifier)))
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    generator = torch.Generator().manual_seed(0)
    planes = example(network, size, n=3).map(lambda plane: 50 * torch.randn(plane.shape, generator=generator))
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    taken = {given.name for given in session.get_inputs()}
    (logits,) = session.run(None, {name: getattr(planes, name).numpy() for name in INPUTS if name in taken})
    with torch.inference_mode():
        return float((network(planes) - torch.from_numpy(logits)).abs().max())


def export_command(checkpoint: str, out: str, larger: bool) -> None:
    """``dctnet export``: write the file and say how well it was checked."""
    difference = export_checkpoint(checkpoint, out, larger)
    checked = "not checked, as onnxruntime is not installed"
    if difference is not None:
        checked = f"its logits by onnxruntime and by torch differ by {difference:.1e} at most, on random planes"
    print(f"{out}: {Path(out).stat().st_size / 1e6:.1f} MB; {checked}")
