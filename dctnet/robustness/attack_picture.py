"""The picture of one attack: an original, what the attack made of it, and what is left of that behind each channel."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dctnet.report.figures import attacked_picture
from dctnet.robustness.attack_plan import AttackSpec, ChannelSpec, Work
from dctnet.robustness.attacks import ATTACKS
from dctnet.robustness.evaluation import Evaluation
from dctnet.robustness.row_file import RowFile, written
from dctnet.robustness.subject import Subject
from dctnet.whole_file import whole_file


def draw_attack(
    evaluation: Evaluation,
    rows: RowFile,
    spec: AttackSpec,
    channels: Sequence[ChannelSpec],
    subject: Subject,
    names: Sequence[str],
    folder: Path,
) -> Path:
    """The PNG of an attack in ``folder``, whose name says which one by 8 digits of its rows' keys; one that is there is kept.

    ``rows`` holds the clean row and the oblivious ones of ``channels``, the first of which is none. Shown is a picture that the
    attack took from the network and most channels bring back, behind each channel at the first of its strengths. Random
    channels draw anew, so what is seen need not be what the row counted.
    """
    shown = [one for number, one in enumerate(channels) if one.name not in [other.name for other in channels[:number]]]
    keys = [evaluation.key(Work("oblivious", spec, channel)) for channel in shown]
    digest = hashlib.sha256("\n".join(map(written, keys)).encode()).hexdigest()[:8]
    path = folder / f"{spec.name}-{digest}.png"
    if path.exists():
        return path
    before, *after = (rows.find(key)["each"] for key in (evaluation.key(Work("clean")), *keys))
    number = telling(before, after)
    which, work = slice(number, number + 1), Work("oblivious", spec)
    original, perturbed = evaluation.pixels[which], evaluation.perturbed(work)[which]
    looks = [("original", original)]
    for channel in shown:
        with torch.random.fork_rng([original.device] if original.is_cuda else []), torch.no_grad():
            torch.manual_seed(evaluation.settings.seed + 1)
            left = channel.create()(perturbed)
        looks.append(("adversarial" if channel.name == "none" else f"{channel.name} {channel.strength:g}", left))
    columns = [_column(label, evaluation, pixels, original, subject, which) for label, pixels in looks]
    size = "" if spec.epsilon is None else f", epsilon {spec.epsilon:.4g} ({ATTACKS[spec.name].norm})"
    label = _name(subject, evaluation.labels[number])
    with whole_file(path, shared=True) as png:
        attacked_picture(columns, f"{spec.name}{size} on {subject.about['network']}: {names[number]}, {label}", png)
    return path


def telling(before: str, after: Sequence[str]) -> int:
    """The first picture that was lost ("1" ``before``, "0" in the first of ``after``) and is right in the most of the others.

    Where none was lost, the first that is right in the most.

    >>> telling("1101", ["0001", "0100", "1100"])
    1
    """
    lost = [was == "1" and now == "0" for was, now in zip(before, after[0], strict=True)]
    again = [sum(each[number] == "1" for each in after) for number in range(len(before))]
    return max(range(len(before)), key=lambda number: (lost[number], again[number]))


def _column(
    label: str, evaluation: Evaluation, pixels: Tensor, original: Tensor, subject: Subject, which: slice
) -> tuple[np.ndarray, str]:
    """A picture as an array, and its caption: what it is, what the network sees in it, how far it is from the original."""
    seen = evaluation.outcome(Work("clean"), pixels, which)
    distance = (pixels - original).norm().item()
    far = f"\nL2 {distance:.3g}" if distance else ""
    caption = f"{label}\n{_name(subject, seen.found[0])} {seen.sure[0]:.2f}\nright class {seen.right[0]:.2f}{far}"
    return pixels[0].permute(1, 2, 0).float().cpu().numpy(), caption


def _name(subject: Subject, label: Tensor) -> str:
    return str(subject.classes[int(label)])[:24]
