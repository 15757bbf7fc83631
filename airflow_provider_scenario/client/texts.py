"""
Makes text of a service safe to show: one line, of bounded length, without signed addresses and without our secrets.

Every text of a service passes through :class:`Scrubber` before it reaches a log, an exception, an XCom or a page. The
service chooses the text, so all of this takes linear time, on text that was cut before.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, urlsplit

MAX_SERVICE_TEXT = 400
"""Characters of the service's own words that a message repeats."""

_READ = 8_000
"""Characters that are read to find these: some are markup, addresses and white space."""

_SHORTEST_SECRET = 8
"""Characters. Masking short test keys would redact ordinary words."""

_LONGEST_SPELLING = 12
"""Characters that one character of a secret may take up, such as ``%25252541``."""

# Bounded repetitions: otherwise a text could make the search take quadratic time.
_ESCAPED = re.compile(
    r"""%(?:25){0,3}([0-9a-f]{2})|\\{1,4}u00([0-9a-f]{2})|&\#x([0-9a-f]{2});|&\#([0-9]{2,3});|\\{1,4}(["'/])""",
    re.IGNORECASE,
)

# Ends only at characters that an address cannot hold. A single quote may be in a query, before the signature.
_IN_ADDRESS = r"""[^\s"<>]"""
_ADDRESS = re.compile(rf"""(:(?:\\{{0,4}}/){{2}})(?:[^\s/?#"<>]*@)?([^\s?#"<>]*)([?#]{_IN_ADDRESS}*)?""")
_QUERY = re.compile(
    rf"""(?:\?|%(?:25){{0,3}}3f|\\{{1,4}}u003f)(?=[^\s"<>?]{{0,64}}?(?:=|%(?:25){{0,3}}3d|\\u003d)){_IN_ADDRESS}*""",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"""\b(x-(?:amz|goog|oss)-[a-z-]{1,30}|signature|key-pair-id|apitoken|api[_-]?(?:key|secret)|password)"""
    r"""(["']?\s?[=:]\s?["']?)[^\s"'<>&,;]{8,}""",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"""\b(basic|bearer) (?=[^\s"'<>]*[0-9=])[^\s"'<>]{8,}""", re.IGNORECASE)


_FOR_ADDRESSES = str.maketrans("+/", "-_")


class Scrubber:
    """
    Makes text of a service safe to show.

    :param secrets: texts to mask, in every spelling: percent-encoded, escaped for JSON or HTML, in base64.
        Secrets of less than eight characters are not masked.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
        self._needles = tuple(dict.fromkeys(itertools.chain.from_iterable(map(_spellings, long_enough))))
        self._longest = max(map(len, self._needles), default=0) * _LONGEST_SPELLING

    def __repr__(self) -> str:
        return "Scrubber()"

    def __call__(self, text: str) -> str:
        """One line of at most :data:`MAX_SERVICE_TEXT` characters, without secrets and signed addresses."""
        shown = self.masked(text[:_READ])
        if len(text) > _READ:
            # The cut may have left the first part of a secret, which would not be found.
            shown = shown[: -min(self._longest, _READ // 2) or None]
        shown = _ADDRESS.sub(lambda found: found[1] + found[2] + ("?…" if found[3] else ""), shown)
        shown = _QUERY.sub("?…", shown)
        shown = _NAMED.sub(r"\1\2***", shown)
        shown = _CREDENTIALS.sub(r"\1 ***", shown)
        shown = " ".join("".join(char if char.isprintable() else " " for char in shown).split())
        return shown if len(shown) <= MAX_SERVICE_TEXT else shown[: MAX_SERVICE_TEXT - 1].rstrip() + "…"

    def masked(self, text: str) -> str:
        """The whole text with the secrets masked, and nothing else changed."""
        unescaped, starts, ends = _unescaped(text)
        found = list(_found(self._needles, text))
        if starts:
            found += [(starts[first], ends[after - 1]) for first, after in _found(self._needles, unescaped)]
        parts, done = [], 0
        for start, end in sorted(found):
            if start >= done:
                parts += [text[done:start], "***"]
            done = max(done, end)
        return "".join([*parts, text[done:]])


def is_http(address: str) -> bool:
    """Whether it is an http(s) address with a host."""
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _found(needles: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    for needle in needles:
        start = text.find(needle)
        while start >= 0:
            yield start, start + len(needle)
            start = text.find(needle, start + len(needle))


def _unescaped(text: str) -> tuple[str, list[int], list[int]]:
    """The text without escapes, and where each character starts and ends in the original; empty lists: no escapes."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for escape in _ESCAPED.finditer(text):
        hexadecimal = escape[1] or escape[2] or escape[3]
        char = escape[5] or chr(int(hexadecimal, 16) if hexadecimal else int(escape[4]))
        parts += [text[done : escape.start()], char]
        starts.extend(range(done, escape.start() + 1))
        ends.extend((*range(done + 1, escape.start() + 1), escape.end()))
        done = escape.end()
    if not done:
        return text, [], []
    starts.extend(range(done, len(text)))
    ends.extend(range(done + 1, len(text) + 1))
    return "".join([*parts, text[done:]]), starts, ends


def _spellings(secret: str) -> Iterator[str]:
    content = secret.encode("utf-8", "surrogatepass")
    yield secret
    # Percent-encoding encodes bytes, so an unescaped text has one character for each.
    yield content.decode("latin-1")
    yield quote(secret, safe="", errors="replace")
    # A backslash in the secret may be doubled while nothing else is escaped.
    escaped = doubled = secret
    for _ in range(2):
        escaped, doubled = json.dumps(escaped)[1:-1], doubled.replace("\\", "\\\\")
        yield from (escaped, escaped.replace("/", "\\/"), doubled)
    for before in range(3):
        # In base64 a secret has three spellings, by its position; the characters at its edges depend on its neighbours.
        whole = base64.b64encode(bytes(before) + content[: len(content) - (before + len(content)) % 3]).decode()
        core = whole[-(-before * 4 // 3) :]
        if len(core) >= _SHORTEST_SECRET:
            yield core
            yield core.translate(_FOR_ADDRESSES)


plain = Scrubber()
"""For text in which none of our secrets can be."""
