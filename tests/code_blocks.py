"""
The code blocks of README and docs.

A comment before a block exempts it, with a reason: ``<!-- not run: needs a Kubernetes cluster -->`` from running in a
real Airflow, ``<!-- not checked: … -->`` from every check. Blocks of the language ``text`` hold output and drawings.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
NOT_CODE = "text"

_EXEMPTION = re.compile(r"<!--\s*not (?P<what>run|checked):\s*(?P<why>\S.*?)\s*-->", re.DOTALL)
_DIRECTIVE = re.compile(r"\{(?P<name>[\w:-]+)\}\s*(?P<argument>\S*)")
_CODE_DIRECTIVES = ("code", "code-block", "sourcecode")
_OPTION = re.compile(r"^(:[\w-]+:.*|---)$")


@dataclass(frozen=True)
class Block:
    """
    One fenced block.

    :param page: path of the file, relative to the repository.
    :param line: of the fence.
    :param language: empty if the fence has none.
    :param not_run: why it is not run; None without such a comment.
    :param not_checked: why it is not checked at all.
    """

    page: str
    line: int
    language: str
    code: str
    not_run: str | None = None
    not_checked: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def dag_ids(self) -> list[str]:
        """Ids of the DAGs that a Python block defines."""
        if self.language != "python" or self.not_checked:
            return []
        return [dag_id for node in ast.walk(ast.parse(self.code)) if (dag_id := _dag_id(node)) is not None]


def pages() -> list[Path]:
    """README, the other pages beside it, and the docs."""
    docs = [page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts]
    return sorted([*ROOT.glob("*.md"), *docs])


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks_of(page)]


def blocks_of(page: Path) -> list[Block]:
    return list(_blocks_in(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)), 0))


def whole_dags() -> dict[str, Block]:
    """The DAGs of all pages that can be run, by id."""
    runnable = [block for block in all_blocks() if not (block.not_run or block.not_checked)]
    return {dag_id: block for block in runnable for dag_id in block.dag_ids}


def statements(code: str) -> Iterator[str]:
    """The statements of a shell script: lines that belong together as one, without comments and here-documents."""
    lines = iter(code.splitlines())
    for line in lines:
        statement = line
        while not _is_complete(statement):
            try:
                following = next(lines)
            except StopIteration:
                break
            statement = statement[:-1] + following if statement.endswith("\\") else f"{statement}\n{following}"
        if here := re.search(r"<<-?\s*'?(\w+)'?", statement):
            for following in lines:
                if following.strip() == here[1]:
                    break
        if statement.strip() and not statement.lstrip().startswith("#"):
            yield statement


def commands(code: str) -> Iterator[list[str]]:
    """The commands of a shell script, each with its arguments, without variables before it and redirections."""
    for statement in statements(code):
        lexer = shlex.shlex(statement, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = "#"
        for is_operator, words in groupby(lexer, lambda word: set(word) <= set("&|;()")):
            command = [] if is_operator else _without_redirections(list(words))
            while command and re.match(r"\w+=", command[0]):
                command.pop(0)
            if command:
                yield command


def _blocks_in(text: str, page: str, offset: int) -> Iterator[Block]:
    exemptions: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            exemptions = {found["what"]: found["why"] for found in _EXEMPTION.finditer(token.content)}
            continue
        if token.type == "code_block":
            yield Block(page, offset + token.map[0] + 1, "", token.content)
        if token.type == "fence":
            yield from _fence(token.info.strip(), token.content, page, offset + token.map[0] + 1, exemptions)
        exemptions = {}


def _fence(info: str, content: str, page: str, line: int, exemptions: dict[str, str]) -> Iterator[Block]:
    """The block of a fence, or those in a directive, such as a note."""
    language = info.split(maxsplit=1)[0] if info else ""
    if directive := _DIRECTIVE.match(info):
        options = _options(content)
        if directive["name"] not in _CODE_DIRECTIVES:
            # The options are no Markdown, and the line numbers stay right with empty lines in their place.
            yield from _blocks_in("\n" * options + "\n".join(content.splitlines()[options:]), page, line)
            return
        language, content = directive["argument"], "\n".join(content.splitlines()[options:])
    yield Block(page, line, language, content, exemptions.get("run"), exemptions.get("checked"))


def _options(content: str) -> int:
    """How many lines at the beginning are options of the directive."""
    lines = content.splitlines()
    return next((number for number, line in enumerate(lines) if not _OPTION.match(line)), len(lines))


def _dag_id(node: ast.AST) -> str | None:
    """The id in ``DAG("id")`` or ``DAG(dag_id="id")``; None for anything else."""
    if not (isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "DAG"):
        return None
    named = next((keyword.value for keyword in node.keywords if keyword.arg == "dag_id"), None)
    return str(ast.literal_eval(node.args[0] if node.args else named or ast.Constant("")))


def _is_complete(statement: str) -> bool:
    if statement.endswith("\\"):
        return False
    try:
        shlex.split(statement, comments=True)
    except ValueError:  # a quotation that the next line closes
        return False
    return True


def _without_redirections(words: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if set(word) <= set("<>&"):
            skip = True  # the next word is the file
            if kept and kept[-1].isdigit():
                kept.pop()  # 2>
        elif skip:
            skip = False
        else:
            kept.append(word)
    return kept
