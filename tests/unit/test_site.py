"""Every page of the docs site can be reached, and every relative link of the Markdown files leads to something."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {file.relative_to(DOCS).with_suffix("").as_posix(): file for file in DOCS.rglob("*.md")}
INCLUDED = {name for name in PAGES if name.startswith("tables/")}
FILES = sorted([*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", *PAGES.values()])


def in_toctrees() -> list[str]:
    fences = re.findall(
        r"^```{toctree}\n(.*?)^```$", PAGES["index"].read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [line for fence in fences for line in fence.splitlines() if line and not line.startswith(":")]


def test_every_page_is_in_one_toctree():
    assert sorted(in_toctrees()) == sorted(set(PAGES) - INCLUDED - {"index"})


def tokens(file: Path) -> list[Token]:
    text = re.sub(r"<!--.*?-->", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return MarkdownIt("commonmark").enable("table").parse(text)


def targets(file: Path) -> Iterator[str]:
    """Addresses of the links and pictures in a file."""
    for token in tokens(file):
        for inline in token.children or []:
            address = inline.attrGet("href") or inline.attrGet("src")
            if address is not None:
                yield str(address)


def anchors(file: Path) -> set[str]:
    """Anchors of the headings, as the forge and the site make them. A page that includes a file has the file's."""
    found = set()
    for token, text in itertools.pairwise(tokens(file)):
        if token.type == "heading_open":
            words = "".join(each.content for each in text.children or [])
            found.add(re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-"))
        if token.type == "fence" and token.info.startswith("{include}"):
            found |= anchors((file.parent / token.info.split()[1]).resolve())
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(file):
    relative = [address for address in targets(file) if not re.match(r"[a-z]+:", address)]
    assert [address for address in relative if not resolves(file, *address.partition("#")[::2])] == []


def resolves(file: Path, path: str, anchor: str) -> bool:
    target = (file.parent / path).resolve() if path else file
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))
