"""A table of text, for the log."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence


def text_table(rows: Sequence[Sequence[str]], *, right_aligned: Collection[int] = ()) -> Iterator[str]:
    """
    Yield one line a row, with columns of equal width, two spaces apart.

    :param rows: cells, as many in each row; usually the first row is the heading.
    :param right_aligned: indices of the columns of numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if column in right_aligned else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
