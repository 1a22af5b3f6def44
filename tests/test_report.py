"""The page of this repository's own results: whole, valid, and with a row for every claim."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dctnet.cli import main
from dctnet.findings.band_limits_part import band_limits_part
from dctnet.findings.claims import NOT_TESTED, claims, judge
from dctnet.findings.report_command import PARTS, report
from dctnet.findings.result_files import read_results
from dctnet.report.html import VOID

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [ROOT / "experiments", ROOT / "benchmarks"]


class Checked(HTMLParser):
    """Elements that are closed in order, ids, and what is loaded from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.loaded, self.links, self.tables, self.problems = [], [], [], [], 0, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.tables += tag == "table"
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            value = attributes.get(name)
            if value and value.startswith("#"):
                self.links.append(value[1:])
            elif value and value != "data:,":
                self.loaded.append(value)
        if tag in ("svg", "img") and not attributes.get("aria-label") and not attributes.get("alt"):
            self.problems.append(f"{tag} has no text in its place")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes something else")


@pytest.fixture(scope="module")
def results():
    return read_results(SOURCES)


@pytest.fixture(scope="module")
def text(results):
    return report(results)


def test_every_section_is_there_and_no_known_kind_is_left_out(results, text):
    for id, title, _ in PARTS:
        assert f'<section id="{id}"><h2>{title}' in text
    for result in results.files:
        assert result.kind is not None, result.path
        assert text.count(f"read from <code>{result.path}</code>") >= 1, result.path


def test_every_claim_has_a_row_and_a_verdict(results, text):
    table = text[text.index('<section id="claims">') : text.index('<section id="compared">')]
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", table, flags=re.DOTALL)
    assert len(rows) == len(claims())
    judged = [judge(claim, results) for claim in claims()]
    for row, one in zip(rows, judged, strict=True):
        assert f">{one.claim.id}</span>" in row and f">{one.verdict}</span>" in row
        if one.claim.check and one.claim.check != "compression_controls_time":
            assert one.verdict != NOT_TESTED, (one.claim.id, one.ours)  # all these files are here
    assert {one.verdict for one in judged} == {"reproduced", "not reproduced", "not decided", "not tested here"}


def test_the_page_is_valid_small_and_alone(text):
    assert len(text.encode()) < 3e6
    found = Checked(text)
    assert not found.open and not found.problems
    assert len(found.ids) == len(set(found.ids)) and set(found.links) <= set(found.ids)
    assert not found.loaded and not re.search(r"@import|url\((?!#)|//(?!/)[\w.]+\.[a-z]{2,}/", text)
    assert found.tables > 30 and text.count("<svg") > 40


def test_every_figure_and_table_of_results_tells_its_file_and_command(text):
    for figure in re.findall(r"<figure>.*?</figure>", text, flags=re.DOTALL):
        assert re.search(r"read from <code>[^<]+</code>; how it was made</summary><pre[^>]*><code>[^<]+", figure)
    assert "does not tell its command" not in text


def test_no_number_of_a_plot_or_table_is_none_or_nan(text):
    shown = re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    words = set(re.findall(r">\s*(nan|None|inf|nan %)\s*<", shown))
    assert not words


def test_a_part_is_the_same_twice(results, text):
    assert str(band_limits_part(results)) in text


def test_our_figures_are_those_of_the_files(text):
    rows = [json.loads(line) for line in (ROOT / "experiments" / "cifar10_planes.jsonl").read_text().splitlines()]
    tops = [row["top1"] for row in rows if row["name"] == "light_luma"]
    section = text[text.index('<section id="cost">') : text.index('<section id="bands">')]
    line = section[section.index("<code>light_luma</code>") :]
    assert f"{sum(tops) / len(tops):.1f}" in line[: line.index("</tr>")]
    attack = [json.loads(line) for line in (ROOT / "experiments" / "attack_imagenet.jsonl").read_text().splitlines()]
    one = next(row for row in attack if row["key"]["kind"] == "adaptive" and row["key"].get("attack") == "cw")
    assert f"{100 * one['accuracy']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]" in text


def test_a_new_result_appears_by_itself_and_what_is_missing_is_told(tmp_path, capsys):
    run = {"network": "late_concat", "command": "dctnet fit", "block_size": 2, "parameters_m": 1.0, "gmac": 0.1}
    rows = [
        run | {"name": f"new_{k}", "seed": s, "top1": 50.0 + k + s, "gmac": 0.1 + k} for k in (0, 1) for s in (0, 1)
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "fresh.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "in" / "odd.json").write_text('{"rows": [{"colour": "red", "size": 3}]}')
    out = tmp_path / "out.html"
    assert main(["report", str(tmp_path / "in"), str(out)]) == 0
    text = out.read_text()
    assert "2 result files" in capsys.readouterr().out
    assert "<code>new_1</code>" in text and ">50.5<" in text and "50.0 / 51.0" in text
    assert text.count("not in these results; make it with") >= 12
    assert "colour" in text and "red" in text
    assert not Checked(text).problems and str(tmp_path) not in text


def test_a_folder_gets_report_html_and_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('{"broken\n')
    assert main(["report", str(tmp_path), str(tmp_path / "r.html")]) == 2
    assert "a.jsonl, line 1" in capsys.readouterr().err and not (tmp_path / "r.html").exists()
    (tmp_path / "a.jsonl").write_text('{"key": {"kind": "clean"}, "accuracy": 1}\n')
    assert main(["report", str(tmp_path), str(tmp_path / "r.txt")]) == 2
    assert "ends in .html" in capsys.readouterr().err
