"""
A link from a page to a file of the repository that is outside ``docs/`` leads to that file on the forge.

So one text serves both places: README.md and CONTRIBUTING.md link files relatively, which works on the forge, and pages
of the site include them. A link to a file or folder that does not exist is a warning, and so an error of ``make docs``.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class RepositoryLinks(SphinxTransform):
    """Replace links that MyST takes for downloads, and those to folders, which it does not know."""

    default_priority = 5  # before Sphinx collects the files of downloads

    def apply(self, **kwargs: Any) -> None:
        docs = Path(self.env.srcdir)
        folder = posixpath.dirname(self.env.docname)
        for node in list(self.document.findall(addnodes.download_reference)) + list(
            self.document.findall(addnodes.pending_xref)
        ):
            if node.get("reftype") != "myst" or node.get("refdomain"):
                continue
            path, _, fragment = node["reftarget"].partition("#")
            within = posixpath.normpath(posixpath.join("docs", folder, path))
            if not path or within.startswith("..") or not (docs.parent / within).exists():
                continue
            address = self.config.repository_links_base + within + (f"#{fragment}" if fragment else "")
            node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=False))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("repository_links_base", "", "env", [str])
    app.add_transform(RepositoryLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
