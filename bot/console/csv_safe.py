"""CSV files that a spreadsheet opens well and that it cannot take for formulas.

UTF-8 with a byte-order mark and semicolons, as French spreadsheets expect; every cell is quoted. A text that a
spreadsheet could read as a formula gets an apostrophe before it (OWASP, CSV injection); numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from sanic import HTTPResponse, Request
from sanic.response import raw

Cell = str | int | float | datetime | None

BOM = "\ufeff"
CONTENT_TYPE = "text/csv; charset=utf-8"
# What begins a formula, in its full-width form too. Blanks and invisible characters before it do not disarm it.
_FORMULA = re.compile(
    "[\\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\\-@|%\uff1d\uff0b\uff0d\uff20]|[\t\r\n]"
)
# Characters that no spreadsheet shows, and some choke on.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def cell(value: Cell) -> str:
    """The value as it stands in its quoted cell. Times need a zone: ISO 8601 with its offset."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("naive datetime in a CSV file")
        return value.isoformat(timespec="seconds")
    if isinstance(value, float):
        return str(value).replace(".", ",")  # beside semicolons a point would make 3.5 the third of May
    if isinstance(value, int):
        return str(value)
    text = _CONTROLS.sub("", value)
    return "'" + text if _FORMULA.match(text) else text


def lines(rows: Iterable[Sequence[Cell]]) -> str:
    """The rows as lines, each ended by CR LF (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def headers(name: str) -> dict[str, str]:
    """What makes it a file to keep. `name`: letters, digits, hyphens, without extension."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,80}", name):
        raise ValueError(f"no file name: {name}")
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


def file(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> HTTPResponse:
    """A whole file at once, for what is small."""
    body = BOM + lines([header]) + lines(rows)
    return raw(body.encode(), content_type=CONTENT_TYPE, headers=headers(name))


async def stream(
    request: Request, name: str, header: Sequence[str], batches: AsyncIterator[Iterable[Sequence[Cell]]]
) -> None:
    """A file of any length, sent as it is read. The first batch is read before the answer begins, so that what fails
    at once is an error page."""
    first = await anext(batches, ())
    response = await request.respond(content_type=CONTENT_TYPE, headers=headers(name))
    await response.send(BOM + lines([header]) + lines(first))
    async for batch in batches:
        await response.send(lines(batch))
    await response.eof()
