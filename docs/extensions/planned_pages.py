"""
While the pages are being written: those that index.md names and that do not exist yet are left out, with links to them.

To be deleted, with its line in conf.py, once all pages exist.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


def missing(docs: Path) -> set[str]:
    names = re.findall(r"^[a-z_/]+$", (docs / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {name for name in names if not (docs / f"{name}.md").exists()}


def leave_out(app: Sphinx, docname: str, content: list[str]) -> None:
    if docname == "index":
        absent = missing(Path(app.srcdir))
        content[0] = "\n".join(line for line in content[0].split("\n") if line not in absent)


class PlannedLinks(SphinxTransform):
    default_priority = 5

    def apply(self, **kwargs: Any) -> None:
        absent = missing(Path(self.env.srcdir))
        for node in list(self.document.findall(addnodes.pending_xref)):
            target = node["reftarget"].partition("#")[0]
            page = posixpath.normpath(posixpath.join(posixpath.dirname(self.env.docname), target)).removesuffix(".md")
            if node.get("reftype") == "myst" and page in absent:
                node.replace_self(node.children)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", leave_out)
    app.add_transform(PlannedLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
