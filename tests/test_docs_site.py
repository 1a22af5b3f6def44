"""The site of docs/ is built without a warning, has every public name, and asks no other server for anything."""

import importlib
import os
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.test_public_names import NAMES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "WARNING" not in done.stderr
    return out


class Page(HTMLParser):
    """What a page links to, what it loads, the anchors that it has, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.loads, self.anchors, self.text = [], [], set(), ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        self.anchors.add(has.get("id"))
        if tag == "a" and has.get("href"):
            self.links.append(has["href"])
        elif tag in ("script", "img", "iframe", "source") and has.get("src"):
            self.loads.append(has["src"])
        elif tag == "link" and has.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.loads.append(has["href"])

    def handle_data(self, data):
        self.text += data


def test_every_page_is_reached_and_links_lead_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")} | {Path("first_steps.html")}
    assert written | {Path("404.html")} == {path.relative_to(site) for path in pages}
    reached = set()
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            if link.startswith(("http:", "https:", "mailto:")):
                continue
            target, _, anchor = link.partition("#")
            other = (path.parent / target).resolve() if target else path
            assert other.exists(), f"{path.name} links to {link}"
            reached.add(other)
            if anchor and other in pages:
                assert anchor in pages[other].anchors or anchor == "__skip", f"{path.name} links to {link}"
    assert {path for path in pages if path.name != "404.html"} <= reached


def test_nothing_is_fetched_from_elsewhere(site):
    for path in site.rglob("*.html"):
        for source in Page(path).loads:
            assert not re.match(r"(https?:)?//", source), f"{path.name} loads {source}"
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", path.read_text()), path.name


def test_all_public_names_are_in_the_reference(site):
    """Each stands under a directive for the very object, and the site's inventory, which other projects link by, has it."""
    shown = {}
    for path in (DOCS / "reference").glob("*.md"):
        for name, rest in re.findall(r"^::: (\S+)\n((?:    .*\n)*)", path.read_text(), re.MULTILINE):
            members = re.search(r"members: \[(.*?)\]", rest)
            for one in [f"{name}.{member}" for member in members[1].split(", ")] if members else [name]:
                room, _, last = one.rpartition(".")
                shown.setdefault(id(getattr(importlib.import_module(room), last)), []).append(one)
    lines = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    inventory = {line.split(" ")[0] for line in zlib.decompress(lines).decode().splitlines()}
    for room, names in NAMES.items():
        for name in names:
            found = shown.get(id(getattr(importlib.import_module(room), name)))
            assert found, f"{room}.{name} is on no page of docs/reference"
            assert inventory.intersection(found), f"{found} was not rendered"


def test_formulas_are_drawn_by_the_browser(site):
    text = (site / "mathematics.html").read_text()
    assert text.count("<math") > 100 and "arithmatex" not in text
    assert "$" not in Page(site / "mathematics.html").text.replace("$TMPDIR", "")


def loaded(name: str):
    """A file of docs/site, which is no package."""
    spec = spec_from_file_location(f"docs_site_{name}", DOCS / "site" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_examples_of_docstrings_become_code(site):
    fenced = loaded("examples").fenced
    assert fenced("Sums.\n\n>>> 1 + 1\n2\n\nMore.") == "Sums.\n\n```pycon\n>>> 1 + 1\n2\n```\n\nMore."
    assert fenced(">>> print(1)") == "```pycon\n>>> print(1)\n```"
    for path in (site / "reference").glob("*.html"):
        assert "<blockquote>" not in path.read_text(), f"{path.name} shows an example as a quotation"


def stored() -> nbformat.NotebookNode:
    return nbformat.read(DOCS / "first_steps.ipynb", as_version=4)


def said(cell) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def test_the_notebook_runs_and_says_what_its_page_shows(tmp_path, monkeypatch):
    """From a fresh kernel: no cell fails, cells marked "same" print what is stored, and two epochs teach something."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    assert (DOCS / "first_steps.ipynb").stat().st_size < 300_000
    kept, fresh = stored(), stored()
    NotebookClient(fresh, timeout=280, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    pairs = [pair for pair in zip(kept.cells, fresh.cells, strict=True) if pair[0].cell_type == "code"]
    assert all(before.outputs for before, after in pairs if after.outputs)
    same = [(said(before), said(after)) for before, after in pairs if "same" in before.metadata.get("tags", ())]
    assert len(same) == 3 and all(before == after for before, after in same)
    assert int(re.search(r"top-1 after two epochs: (\d+) %", "".join(said(after) for _, after in pairs))[1]) > 20
