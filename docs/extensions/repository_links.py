"""
A link from a page to a file of the repository that is outside ``docs/`` leads to that file on the forge.

So one text serves both places: CONTRIBUTING.md links other files relatively, which works on the forge, and a page of
the site includes it. A file that a page includes is linked as that page. A link to a file or folder that does not exist
is a warning, and so an error of ``make docs``.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

PAGES = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing", "SECURITY.md": "security"}
"""File of the repository → the page that includes it."""


class RepositoryLinks(SphinxTransform):
    default_priority = 5  # before Sphinx collects the files of downloads

    def apply(self, **kwargs: Any) -> None:
        links = [*self.document.findall(addnodes.download_reference), *self.document.findall(addnodes.pending_xref)]
        for node in links:
            if node.get("reftype") == "myst":
                self.redirect(node)

    def redirect(self, node: addnodes.pending_xref | addnodes.download_reference) -> None:
        path, _, fragment = node["reftarget"].partition("#")
        if node.get("refdomain") == "doc":  # MyST has found a Markdown file; it cuts off the suffix
            path, fragment = f"{path}.md", node.get("reftargetid") or ""
        file = self.file_of(path)
        if file is None:
            return
        if page := PAGES.get(file):
            same = {name: node[name] for name in ("reftype", "refdoc", "refexplicit")}
            link = addnodes.pending_xref("", *node.children, refdomain="doc", reftarget=page, **same)
            link["reftargetid"] = fragment or None
            node.replace_self(link)
            return
        address = self.config.repository_links_base + file + (f"#{fragment}" if fragment else "")
        node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=False))

    def file_of(self, path: str) -> str | None:
        """Return the path of a file outside docs/, from the repository's root; None if the link leads elsewhere."""
        docs = Path(self.env.srcdir)
        if not path:
            return None
        for folder in (docs / posixpath.dirname(self.env.docname), docs.parent):  # an included file is in the root
            file = (folder / path).resolve()
            if file.exists() and not file.is_relative_to(docs) and file.is_relative_to(docs.parent):
                return file.relative_to(docs.parent).as_posix()
        return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("repository_links_base", "", "env", [str])
    app.add_transform(RepositoryLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
