"""The tables of docs/robustness.md, from the rows that `dctnet attack` wrote; `tables.py` puts them there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dctnet.report.tables import markdown
from dctnet.robustness.attack_table import attack_lines, share
from dctnet.robustness.curvature_table import median_text
from dctnet.robustness.recovery import agreement as channels_agree
from dctnet.robustness.recovery import recoveries, transfer

ROOT = Path(__file__).resolve().parents[1]


def lines_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (ROOT / "experiments" / f"{name}.jsonl").read_text().splitlines()]


def attacked(name: str) -> str:
    """Accuracy clean, under an attack on the network alone, and under one on network and channel."""
    rows = []
    for line in attack_lines(lines_of(name)):
        cells = {column: share(line[column]) for column in ("clean", "oblivious", "adaptive") if line[column]}
        near, far = line["oblivious"], line["adaptive"] or {}
        cells["l2"] = ", ".join(f"{row['l2']:.2f}" for row in (near, far) if row)
        cells["sure"] = ", ".join(f"{row['confidence']:.2f}" for row in (near, far) if row)
        cells["where"] = line["channel"] + (f" {line['strength']:g}" if line["strength"] else "")
        rows.append({"attack": line["attack"]} | cells | {"mark": line["mark"].replace("*", " \\*")})
    columns = {"attack": "{attack}", "channel": "{where}", "clean": "{clean}", "oblivious": "{oblivious}"}
    columns |= {"adaptive": "{adaptive}{mark}", "L2": "{l2}", "confidence": "{sure}"}
    return markdown(rows, columns)


def windows(name: str) -> str:
    """The share of lost pictures that each channel recovers, by the budget of the attack."""
    found = recoveries(lines_of(name))
    budgets = sorted({one.epsilon for one in found})
    rows: dict[tuple, dict] = {}
    for one in found:
        row = rows.setdefault((one.channel, one.strength), {"channel": f"{one.channel} {one.strength:g}"})
        row[f"e{budgets.index(one.epsilon)}"] = f"{100 * one.share:.0f}"
    heads = {}
    for number, budget in enumerate(budgets):
        some = next(one for one in found if one.epsilon == budget)
        heads[f"{255 * budget:g}/255, L2 {some.l2:.2g}, {some.lost} lost"] = f"{{e{number}}}"
    return markdown(list(rows.values()), {"recovered (%) by": "{channel}"} | heads)


def alike(name: str, attack: str) -> str:
    """How often two channels say the same of a lost picture, and Cohen's kappa."""
    found = [one for one in recoveries(lines_of(name)) if one.attack == attack]
    known = channels_agree(found)
    rows = []
    for number, (one, label) in enumerate(zip(found, known.names, strict=True)):
        cells = {
            f"c{k}": f"{100 * known.equal[number, k]:.0f} ({known.kappa[number, k]:.2f})"
            for k in range(len(found))
            if k != number
        }
        rows.append({"channel": label, "recovered": f"{100 * one.share:.0f} of {one.lost}"} | cells)
    columns = {label: f"{{c{k}}}" for k, label in enumerate(known.names)}
    return markdown(rows, {"channel": "{channel}", "recovered (%)": "{recovered}"} | columns)


def by_network(*names: str) -> dict[str, list[list[dict]]]:
    """The rows of each network, seed by seed, under the network's label."""
    found: dict[str, dict[str, list[dict]]] = {}
    for row in (row for name in names for row in lines_of(name)):
        found.setdefault(label(row), {}).setdefault(row["key"]["network"]["checkpoint"], []).append(row)
    limited = sorted(found, key=lambda network: (network.startswith(LIMITED), network))
    return {network: list(found[network].values()) for network in limited}


def label(row: dict) -> str:
    """What a network is called in the tables."""
    if row["network"] == "bandlimited_resnet18":
        return f"{LIMITED}{100 * row['network_options']['compression']:2.0f} % of the spectrum dropped"
    return NETWORKS[row["network"]]


LIMITED = "pixels, "
NETWORKS = {
    "rgb_resnet18": "pixels: `rgb_resnet18`",
    "multigrid_resnet18": "coefficients: `multigrid_resnet18`, luma to chroma",
    "late_concat": "coefficients: `late_concat`",
}


def undefended(*names: str) -> str:
    """Networks clean and under attacks without a channel, seed by seed, with the interval of the first seed."""
    shown = []
    for network, seeds in by_network(*names).items():
        cells: dict[str, list[dict]] = {}
        for row in (row for rows in seeds for row in rows):
            if row["key"]["kind"] in ("clean", "oblivious"):
                cells.setdefault(row["key"].get("attack", "clean"), []).append(row)
        one = {attack: " / ".join(f"{100 * row['accuracy']:.1f}" for row in rows) for attack, rows in cells.items()}
        one |= {"distance": " / ".join(f"{row['l2']:.2f}" for row in cells.get("cw", []))}
        low, high = (100 * cells["pgd_l2"][0][end] for end in ("low", "high"))
        shown.append({"network": network, "interval": f"[{low:.1f}, {high:.1f}]"} | one)
    columns = {"network reads": "{network}", "clean": "{clean}", "pgd, 8/255": "{pgd}"}
    columns |= {"autoattack, 8/255": "{autoattack}", "pgd_l2, 0.5": "{pgd_l2}", "interval, first seed": "{interval}"}
    return markdown(shown, columns | {"autoattack_l2, 0.5": "{autoattack_l2}"})


def defended(name: str, attack: str) -> str:
    """Networks against channels under one attack: the oblivious and the adaptive accuracy, and the mark of the latter."""
    shown, heads = [], {}
    for network, seeds in by_network(name).items():
        cells = {}
        for line in attack_lines(seeds[0]):
            if line["attack"] == attack:
                head = line["channel"] + (f" {line['strength']:g}" if line["strength"] else "")
                head += f", {line['backward']}" if line["backward"] else ""
                column = heads.setdefault(head, f"c{len(heads)}")
                near, far = line["oblivious"], line["adaptive"]
                mark = line["mark"].replace("*", "\\*")
                known = "" if far is None else f" / {100 * far['accuracy']:.1f}{mark}"
                cells[column] = f"{100 * near['accuracy']:.1f}{known}"
                if line["channel"] == "none":
                    cells |= {"clean": f"{100 * line['clean']['accuracy']:.1f}", "l2": f"{near['l2']:.2f}"}
        if "c1" in cells:
            shown.append({"network": network} | cells)
    columns = {"network reads": "{network}", "clean, none": "{clean}", "L2": "{l2}"}
    return markdown(shown, columns | {head: f"{{{column}}}" for head, column in heads.items()})


def transferred(name: str, attack: str) -> str:
    """Of the pictures that a target has right when clean, the share (%) that it loses to those made against a source.

    On the diagonal the attack is on the target itself. The networks of the first seed.
    """
    networks = {network: seeds[0] for network, seeds in by_network(name).items()}
    number = {rows[0]["key"]["network"]["checkpoint"]: place for place, rows in enumerate(networks.values())}
    shown = [{"source": f"{place + 1}. {network}"} for place, network in enumerate(networks)]
    for rows in networks.values():
        own = number[rows[0]["key"]["network"]["checkpoint"]]
        alone = [
            row for row in rows if row["key"].get("channel") == "none" and row["key"].get("attack", attack) == attack
        ]
        before, after = (next(row for row in alone if row["key"]["kind"] == kind) for kind in ("clean", "oblivious"))
        held, left = before["each"], after["each"]
        lost = sum(was == "1" and now == "0" for was, now in zip(held, left, strict=True))
        shown[own][f"t{own}"] = f"{100 * lost / held.count('1'):.0f}"
        for one in transfer(rows):
            if one["attack"] == attack and one["target"]["checkpoint"] in number:
                shown[own][f"t{number[one['target']['checkpoint']]}"] = f"{100 * one['lost'] / one['held']:.0f}"
    columns = {f"{place + 1}": f"{{t{place}}}" for place in range(len(networks))}
    return markdown(shown, {"made against": "{source}"} | columns)


def nearest(names: Sequence[str], attacks: Sequence[str]) -> str:
    """Accuracy behind each channel under attacks for the nearest picture, with its interval, beside the published one."""
    lines = [line for name in names for line in attack_lines(lines_of(name)) if line["attack"] in attacks]
    rows: dict[tuple, dict] = {}
    heads = {}
    for line in sorted(lines, key=lambda line: attacks.index(line["attack"])):
        where, attack, found = (line["channel"], line["strength"]), line["attack"], line["oblivious"]
        row = rows.setdefault(where, {"channel": where[0] + (f" {where[1]:g}" if where[1] else "")})
        row |= {
            "clean": share(line["clean"]),
            attack: share(found),
            f"{attack} there": PUBLISHED.get((where[0], attack)),
        }
        if where[0] == "none":
            heads |= {
                f"{attack}, L2 {found['l2']:.2g}": f"{{{attack}}}",
                f"published, {attack}": f"{{{attack} there:.1f}}",
            }
    return markdown(list(rows.values()), {"channel": "{channel}", "clean": "{clean}"} | heads)


# ResNet-50, 1,000 files, of which 83.5 % are right: accuracy (%) of the attacked pictures behind the channel. A. Dziedzic,
# "Input and model compression for adaptive and robust CNNs", a talk of 2019.
PUBLISHED = {
    ("fft", "fgsm_nearest"): 73.8, ("fft", "pgd_nearest"): 82.1, ("fft", "cw"): 78.7,
    ("depth", "fgsm_nearest"): 76.0, ("depth", "pgd_nearest"): 82.9, ("depth", "cw"): 80.9,
    ("gaussian", "fgsm_nearest"): 75.4, ("gaussian", "pgd_nearest"): 80.9, ("gaussian", "cw"): 80.4,
}  # fmt: skip


def curvature(name: str) -> str:
    """Natural, attacked and recovered pictures: gradients, curvature, and how often noise changes the class."""
    shown = []
    for row in json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"]:
        cells = {"network": row["run"].rpartition("-")[0], "group": row["group"], "pictures": row["pictures"]}
        cells["moved"] = f"{row['distance']:.2f}"
        for one in row["medians"]:
            cell = f"{one['quantity'][0]}_{one['towards']}"
            cells[cell] = median_text(one)
        cells |= {f"n{number}": f"{100 * share:.0f}" for number, share in enumerate(row["noise"].values())}
        shown.append(cells)
    columns = {"network": "`{network}`", "pictures": "{group} ({pictures})", "moved, L2": "{moved}"}
    columns |= {"gradient towards the right class": "{l_original}", "towards the other": "{l_adversarial}"}
    columns |= {"greatest eigenvalue": "{e_original}"}
    sigmas = row["noise"]
    return markdown(shown, columns | {f"noise {s} (%)": f"{{n{number}}}" for number, s in enumerate(sigmas)})
