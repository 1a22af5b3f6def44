"""The tables of docs/robustness.md, from the rows that `dctnet attack` wrote; `tables.py` puts them there."""

from __future__ import annotations

import json
from pathlib import Path

from dctnet.report.tables import markdown
from dctnet.robustness.attack_table import attack_lines, share
from dctnet.robustness.recovery import agreement as channels_agree
from dctnet.robustness.recovery import recoveries, transfer

ROOT = Path(__file__).resolve().parents[1]


def lines_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (ROOT / "experiments" / f"{name}.jsonl").read_text().splitlines()]


def attacked(name: str) -> str:
    """Accuracy clean, under an attack on the network alone, and under one on network and channel."""
    rows = []
    for line in attack_lines(lines_of(name)):
        cells = {column: share(line[column]) for column in ("clean", "oblivious", "adaptive")}
        near, far = line["oblivious"], line["adaptive"]
        cells |= {
            "l2": f"{near['l2']:.2f}, {far['l2']:.2f}",
            "sure": f"{near['confidence']:.2f}, {far['confidence']:.2f}",
        }
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


def compressed_attacks(name: str) -> str:
    """Networks by the share of the spectrum that their convolutions drop: clean, and under attack, seed by seed."""
    rows: dict[float, dict] = {}
    for row in lines_of(name):
        key, drop = row["key"], row["network_options"].get("compression", 0.0)
        if key["kind"] == "clean" or (key["kind"] == "adaptive"):
            column = key.get("attack", "clean")
            rows.setdefault(drop, {}).setdefault(column, []).append(row)
    shown = []
    for drop, cells in sorted(rows.items()):
        row = {"drop": f"{100 * drop:.0f}"}
        for column, found in cells.items():
            row[column] = " / ".join(f"{100 * one['accuracy']:.1f}" for one in found)
        low, high = (100 * cells["pgd_l2"][0][end] for end in ("low", "high"))
        shown.append(row | {"interval": f"[{low:.1f}, {high:.1f}]"})
    columns = {
        "dropped (%)": "{drop}",
        "clean (%)": "{clean}",
        "pgd, 8/255 (%)": "{pgd}",
        "pgd_l2, 0.5 (%)": "{pgd_l2}",
    }
    return markdown(shown, columns | {"interval, first seed": "{interval}"})


def transferred(name: str, attack: str) -> str:
    """Of the pictures that a target has right when clean, the share that it loses to those made against a source.

    Sources and targets are the networks of the first seed, by the share of the spectrum that they drop. On the diagonal the
    attack is on the target itself.
    """
    rows = lines_of(name)
    drops: dict[str, str] = {}
    for row in rows:
        label = f"{100 * row['network_options'].get('compression', 0.0):.0f} %"
        if label not in drops.values():
            drops[row["key"]["network"]["checkpoint"]] = label
    shown = {label: {"source": label} for label in drops.values()}
    for one in transfer(rows):
        source, target = (drops.get(one[end]["checkpoint"]) for end in ("source", "target"))
        if one["attack"] == attack and source and target:
            shown[source][target] = f"{100 * one['lost'] / one['held']:.0f}"
    own = {
        (row["key"]["network"]["checkpoint"], row["key"]["kind"]): row
        for row in rows
        if row["key"].get("attack", attack) == attack
    }
    for checkpoint, label in drops.items():
        before, after = (own[checkpoint, kind]["each"] for kind in ("clean", "oblivious"))
        held = before.count("1")
        lost = sum(was == "1" and now == "0" for was, now in zip(before, after, strict=True))
        shown[label][label] = f"{100 * lost / held:.0f}"
    columns = {label: f"{{{label}}}" for label in drops.values()}
    return markdown(list(shown.values()), {"made against": "{source}"} | columns)


def by_network(name: str) -> str:
    """Networks trained alike, clean and under attack: seed by seed, and the interval of the first seed under ``pgd_l2``."""
    rows: dict[str, dict] = {}
    for row in lines_of(name):
        if row["key"]["kind"] in ("clean", "adaptive"):
            label = NATIVE[row["network"]]
            rows.setdefault(label, {}).setdefault(row["key"].get("attack", "clean"), []).append(row)
    shown = []
    for label, cells in rows.items():
        low, high = (100 * cells["pgd_l2"][0][end] for end in ("low", "high"))
        row = {column: " / ".join(f"{100 * one['accuracy']:.1f}" for one in found) for column, found in cells.items()}
        shown.append(row | {"network": label, "interval": f"[{low:.1f}, {high:.1f}]"})
    columns = {"network": "{network}", "clean (%)": "{clean}", "pgd, 8/255 (%)": "{pgd}", "pgd_l2, 0.5 (%)": "{pgd_l2}"}
    return markdown(shown, columns | {"interval, first seed": "{interval}"})


def transferred_by_network(name: str, attack: str) -> str:
    """Of the pictures that a target has right when clean, the share it loses to those made against a source; seed by seed."""
    rows = lines_of(name)
    network = {row["key"]["network"]["checkpoint"]: row["network"] for row in rows}
    shown: dict[str, dict] = {label: {"source": NATIVE[label]} for label in NATIVE}
    for one in transfer(rows):
        if one["attack"] == attack:
            source, target = (network[one[end]["checkpoint"]] for end in ("source", "target"))
            before = shown[source].get(target)
            share_of = f"{100 * one['lost'] / one['held']:.0f}"
            shown[source][target] = share_of if before is None else f"{before} / {share_of}"
    return markdown(
        list(shown.values()), {"made against": "{source}"} | {f"`{label}`": f"{{{label}}}" for label in NATIVE}
    )


NATIVE = {
    "rgb_resnet18": "`rgb_resnet18`, pixels",
    "multigrid_resnet18": "`multigrid_resnet18`, blocks of 2, luma to chroma",
    "late_concat": "`late_concat`, blocks of 2",
}


def curvature(name: str) -> str:
    """Natural, attacked and recovered pictures: gradients, curvature, and how often noise changes the class."""
    shown = []
    for row in json.loads((ROOT / "experiments" / f"{name}.json").read_text())["rows"]:
        cells = {"network": row["run"].rpartition("-")[0], "group": row["group"], "pictures": row["pictures"]}
        cells["moved"] = f"{row['distance']:.2f}"
        for one in row["medians"]:
            cell = f"{one['quantity'][0]}_{one['towards']}"
            cells[cell] = f"{one['median']:.3g} [{one['low']:.2g}, {one['high']:.2g}]"
        cells |= {f"n{number}": f"{100 * share:.0f}" for number, share in enumerate(row["noise"].values())}
        shown.append(cells)
    columns = {"network": "`{network}`", "pictures": "{group} ({pictures})", "moved, L2": "{moved}"}
    columns |= {"gradient towards the right class": "{l_original}", "towards the other": "{l_adversarial}"}
    columns |= {"greatest eigenvalue": "{e_original}"}
    sigmas = row["noise"]
    return markdown(shown, columns | {f"noise {s} (%)": f"{{n{number}}}" for number, s in enumerate(sigmas)})
