"""A text with its links, as the platform shows it: Meta's button template where everything fits, else the text as it is.

Messenger alone: on Instagram's web site a template is not shown at all (docs/decisions/links.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.dialogue import Link
from bot.core.messages import Platform
from bot.meta.limits import BUTTON_TITLE, BUTTONS, TEMPLATE_TEXT, text_size


@dataclass(frozen=True)
class Shape:
    """What a message shows: its text, and the buttons under it that open a page."""

    text: str
    links: tuple[Link, ...] = ()


def shape(text: str, links: Sequence[Link], platform: Platform) -> Shape:
    """The links as buttons, and the text without their lines; all of it in the text where that cannot be."""
    buttons = tuple(dict.fromkeys(links))
    rest = _without(text, buttons)
    fits = 0 < text_size(rest, platform) <= TEMPLATE_TEXT and all(map(_is_button, buttons))
    apart = len({link.title for link in buttons}) == len(buttons) <= BUTTONS
    if platform is Platform.MESSENGER and buttons and _holds(text, buttons) and fits and apart:
        return Shape(rest, buttons)
    return Shape(text)


def _is_button(link: Link) -> bool:
    return link.url.startswith("https://") and 0 < text_size(link.title, Platform.MESSENGER) <= BUTTON_TITLE


def _holds(text: str, links: Sequence[Link]) -> bool:
    """Whether each address can be taken out: a text that was worded anew may not have it."""
    return {link.line for link in links} <= set(text.split("\n"))


def _without(text: str, links: Sequence[Link]) -> str:
    lines = {link.line for link in links}
    return "\n".join(line for line in text.split("\n") if line not in lines).strip()
