"""What the editor of a reply shows and sends: fields, and a phone of each platform with what would be on it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from sanic import Request

from bot.console.forms import field
from bot.core.dialogue import Link
from bot.core.messages import Platform
from bot.meta.limits import QUICK_REPLIES, QUICK_REPLY_TITLE, TEMPLATE_TEXT, text_limit, text_size
from bot.meta.split import split, truncate
from bot.meta.template import shape
from bot.trainer.replies import OWN_SOURCE, Button, Response, Variation

VARIATIONS = 6  # wordings that a form holds
SPARE = 1  # empty lines for further quick replies
TEXT_AT_MOST = 8_000  # characters that are taken from a field
LINE_AT_MOST = 500
TOUCHED_AT_MOST = 30  # places whose spaces changed that are shown
COMPARED = 300  # characters of a line that are compared letter by letter
# What placeholders become at sending, for the preview.
SAMPLES = {"heure": "6\u00a0h", "minutes": "12", "premier": "porter plainte", "second": "la main courante"}


@dataclass(frozen=True)
class Written:
    """What stands in the form. `faults`: what could not even be read as a reply, in French."""

    response: Response
    seen: str
    dates: tuple[str, ...]  # as typed
    faults: tuple[str, ...] = ()


class Chip(NamedTuple):
    """A quick reply on a phone; `cut`: the platform shows it shortened."""

    title: str
    cut: bool


class Phone(NamedTuple):
    """What a person has on the screen. `size`, `limit`: of the whole text, in the platform's `unit`; with `links`, which are
    buttons, of the text above them."""

    platform: str
    parts: tuple[str, ...]
    chips: tuple[Chip, ...]
    dropped: int  # quick replies that the platform would refuse
    size: int
    limit: int
    unit: str
    links: tuple[Link, ...] = ()


class Touched(NamedTuple):
    """A place that the typographic button changed."""

    before: str
    after: str


def of(response: Response, seen: str | None = None) -> Written:
    """The form of a reply as it stands."""
    dates = tuple("" if v.checked is None else v.checked.isoformat() for v in response.variations)
    return Written(response, response.seen if seen is None else seen, dates)


def written(request: Request, name: str) -> Written:
    """What was sent; never raises. Empty quick replies are left out."""
    variations, dates, faults = [], [], []
    n = min(VARIATIONS, max(1, _number(field(request, "variantes"))))
    for i in range(n):
        typed = field(request, f"verifiee-{i}").strip()[:LINE_AT_MOST]
        checked = None
        if typed:
            try:
                checked = date.fromisoformat(typed)
            except ValueError:
                faults.append("La date de vérification ne se lit pas : écrivez-la comme 2026-01-31, ou laissez vide.")
        variations.append(
            Variation(
                text=_text(field(request, f"texte-{i}")),
                buttons=tuple(_buttons(request, i)),
                source=_line(field(request, f"source-{i}")) or OWN_SOURCE,
                seen=_line(field(request, f"vue-{i}")) or "sans objet",
                checked=checked,
            )
        )
        dates.append(typed)
    return Written(
        Response(name, tuple(variations)), field(request, "vu")[:64], tuple(dates), tuple(dict.fromkeys(faults))
    )


def acted(given: Written, act: str, today: date) -> Written:
    """The form after one of its small buttons: a wording more or less, a date, a source."""
    name, _, at = act.partition("-")
    i, all_ = _number(at), list(given.response.variations)
    if name == "variante" and len(all_) < VARIATIONS:
        last = all_[-1]
        return _with(given, [*all_, replace(last, text="", checked=None)], (*given.dates, ""))
    if not 0 <= i < len(all_) or not at:
        return given
    if name == "retirer" and len(all_) > 1:
        return _with(given, all_[:i] + all_[i + 1 :], given.dates[:i] + given.dates[i + 1 :])
    if name == "aujourdhui":
        all_[i] = replace(all_[i], checked=today)
        return _with(given, all_, (*given.dates[:i], today.isoformat(), *given.dates[i + 1 :]))
    return given


def _with(given: Written, variations: Sequence[Variation], dates: Sequence[str]) -> Written:
    return replace(given, response=replace(given.response, variations=tuple(variations)), dates=tuple(dates))


def checked_today(response: Response, today: date) -> Response:
    """The reply with every official page seen today."""
    return replace(
        response,
        variations=tuple(replace(v, checked=today) if v.source != OWN_SOURCE else v for v in response.variations),
    )


def phones(variation: Variation, links: Sequence[Link] = ()) -> tuple[Phone, Phone]:
    """Messenger's screen, then Instagram's. `links`: of the text."""
    return _phone(variation, links, Platform.MESSENGER), _phone(variation, links, Platform.INSTAGRAM)


def _phone(variation: Variation, links: Sequence[Link], platform: Platform) -> Phone:
    shown = variation.text
    for name, value in SAMPLES.items():
        shown = shown.replace("{" + name + "}", value)
    found = shape(shown, links, platform)
    chips = [Chip(truncate(b.title, QUICK_REPLY_TITLE), len(b.title) > QUICK_REPLY_TITLE) for b in variation.buttons]
    return Phone(
        platform.value,
        tuple(split(found.text, platform)),
        tuple(chips[:QUICK_REPLIES]),
        max(0, len(chips) - QUICK_REPLIES),
        text_size(found.text, platform),
        TEMPLATE_TEXT if found.links else text_limit(platform),
        "octets" if platform is Platform.INSTAGRAM else "caractères",
        found.links,
    )


def touched(before: Response, after: Response) -> list[Touched]:
    """Each place that differs, with a little around it; no-break spaces are made visible."""
    found: list[Touched] = []
    for old_text, new_text in zip(_texts(before), _texts(after), strict=True):
        for old, new in zip(old_text.split("\n"), new_text.split("\n"), strict=False):  # spaces are set within lines
            if old == new or len(found) >= TOUCHED_AT_MOST:
                continue
            # Comparing two long lines letter by letter takes minutes.
            if len(old) > COMPARED or len(new) > 2 * COMPARED:
                found.append(Touched(_around(old, 0, COMPARED), _around(new, 0, COMPARED)))
                continue
            matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
            for tag, a, b, c, d in matcher.get_opcodes():
                if tag != "equal":
                    found.append(Touched(_around(old, a, b), _around(new, c, d)))
    return found[:TOUCHED_AT_MOST]


def _texts(one: Response) -> list[str]:
    return [text for v in one.variations for text in (v.text, *(b.title for b in v.buttons))]


def _around(text: str, start: int, end: int) -> str:
    shown = text[max(0, start - 12) : end + 8]
    return shown.replace("\n", " ").replace("\u202f", "⎵").replace("\u00a0", "⍽")


def _buttons(request: Request, i: int) -> list[Button]:
    found = []
    for j in range(QUICK_REPLIES + 3):
        title, payload = _line(field(request, f"titre-{i}-{j}")), _line(field(request, f"suite-{i}-{j}"))
        if title or payload:
            found.append(Button(title, payload))
    return found


def _text(given: str) -> str:
    """A textarea sends CR LF; what surrounds the text was not meant."""
    return given[:TEXT_AT_MOST].replace("\r\n", "\n").replace("\r", "\n").strip()


def _line(given: str) -> str:
    return " ".join(given[:LINE_AT_MOST].split(" ")).strip().replace("\n", " ").replace("\r", " ")


def _number(given: str) -> int:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 4 else 0
