"""``experiments/gates.py``: the running means of gates, as they stand in a checkpoint."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from dctnet.findings.bands_part import learned
from dctnet.findings.result_files import read_results
from dctnet.nn.frequency_gate import FrequencyGate
from dctnet.training.classifier import Classifier

PROGRAM = Path(__file__).resolve().parents[1] / "experiments" / "gates.py"


def saved(folder, network):
    """A checkpoint of an untrained network, whose gates, if it has any, have been open with known shares."""
    options = {"depth": 18, "width": 0.125}
    classifier = Classifier(network, ["a", "b"], options, image_size=64, block_size=8)
    for module in classifier.modules():
        if isinstance(module, FrequencyGate):
            module.openness.copy_(torch.arange(192) / 192)
    folder.mkdir()
    content = {"state_dict": classifier.state_dict(), "hyper_parameters": dict(classifier.hparams)}
    torch.save(content, folder / "last.ckpt")
    return folder


def run(*words):
    return subprocess.run([sys.executable, PROGRAM, *map(str, words)], capture_output=True, text=True)


def test_shares_are_those_of_the_checkpoint_and_the_report_draws_them(tmp_path):
    gated, plain = saved(tmp_path / "gated-0", "gated_late_concat"), saved(tmp_path / "plain-0", "late_concat")
    out = tmp_path / "gates.json"
    done = run(gated, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "95.5 of 192 gates are open" in done.stdout
    (row,) = json.loads(out.read_text())["rows"]
    assert [round(192 * share) for plane in ("y", "cb", "cr") for share in row["gates"][plane]] == list(range(192))
    (result,) = read_results([out]).files
    assert result.kind == "gates" and str(learned(result)).count("<svg") == 3
    refused = run(plain, "--out", tmp_path / "none.json")
    assert refused.returncode and "a network of 0 gates" in refused.stderr and not (tmp_path / "none.json").exists()
