"""The engine's JSON answers as frozen values. Strict: whatever is not of the agreed shape is EngineRefused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bot.core.dialogue import Explanation, HandoffRequest, Link, Piece, QuickReply, Reply, Turn, Understanding, Why
from bot.core.errors import EngineRefused

T = TypeVar("T")


def understanding(data: Any) -> Understanding:
    """The answer of POST /understand."""
    return _strictly(_understanding, data)


def explanation(data: Any) -> Explanation:
    """The answer of POST /explain."""
    return _strictly(_explanation, data)


def turn(data: Any) -> Turn:
    """The answer of POST /turn. An outcome that says nothing at all is refused."""
    found = _strictly(_turn, data)
    if not (found.replies or found.handoff or found.clarify or found.silence):
        raise EngineRefused("empty outcome")
    return found


def _strictly(read: Callable[[Any], T], data: Any) -> T:
    try:
        return read(data)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineRefused(f"answer of another shape ({type(error).__name__})") from None


def _understanding(data: Any) -> Understanding:
    intent = data["intent"]
    return Understanding(
        intent=None if intent is None else _text(intent),
        confidence=_chance(data["confidence"]),
        ranking=tuple((_text(name), _chance(chance)) for name, chance in _list(data["ranking"])),
        entities=_texts(data["entities"]),
        danger=_chance(data["danger"]),
        french=_flag(data["french"]),
        unknown=_count(data.get("unknown", 0)),  # an engine of an earlier release does not tell these five
        model=_text(data.get("model", "")),
        questions=tuple((_text(name), _chance(chance)) for name, chance in _list(data.get("questions", []))),
        scripts={_text(name): _chance(chance) for name, chance in _dict(data.get("scripts", {})).items()},
        called=_chance(data.get("called", 0.0)),
    )


def _explanation(data: Any) -> Explanation:
    score = data["score"]
    return Explanation(
        understanding=_understanding(data["understanding"]),
        whys=tuple(_why(row) for row in _list(data["intents"])),
        danger=None if score is None else (_chance(score["chance"]), _chance(score["alarm"])),
    )


def _why(data: Any) -> Why:
    return Why(
        intent=_text(data["intent"]),
        chance=_chance(data["chance"]),
        pieces_for=tuple(_piece(piece) for piece in _list(data["for"])),
        pieces_against=tuple(_piece(piece) for piece in _list(data["against"])),
        meaning=_number(data["meaning"]),
        encoder=_number(data["encoder"]),
        base=_number(data["base"]),
    )


def _piece(data: Any) -> Piece:
    return Piece(_text(data["text"]), _text(data["kind"]), _number(data["weight"]))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("number")
    return float(value)


def _turn(data: Any) -> Turn:
    return Turn(
        understanding=_understanding(data["understanding"]),
        replies=tuple(_reply(reply) for reply in _list(data["replies"])),
        handoff=None if data["handoff"] is None else _handoff(data["handoff"]),
        clarify=_flag(data["clarify"]),
        silence=_flag(data["silence"]),
        state=_dict(data["state"]),
        question=None if data.get("question") is None else _text(data["question"]),  # an engine of before tells none
        supposed=_flag(data.get("supposed", False)),
    )


def _reply(data: Any) -> Reply:
    buttons = tuple(QuickReply(_text(b["title"]), _text(b["payload"])) for b in _list(data["quick_replies"]))
    links = tuple(Link(_text(one["title"]), _text(one["url"])) for one in _list(data.get("links", [])))
    return Reply(_text(data["text"]), buttons, links)  # an engine of before tells no links


def _handoff(data: Any) -> HandoffRequest:
    priority = data["priority"]
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise TypeError("priority")
    return HandoffRequest(_text(data["category"]), priority, _text(data["reason"]), _texts(data["slots"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): _text(item) for key, item in _dict(value).items()}


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("list")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("flag")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("count")
    return value


def _chance(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("probability")
    return float(value)
