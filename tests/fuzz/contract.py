"""Bodies of Meta's contract for Hypothesis: every field of every kind, now and then of the wrong type, absurd, twice, too deep."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

# Written as text in place of a value that `json.dumps` cannot write.
_MARKS = {
    '"@digits"': "9" * 5_000,
    '"@exponent"': "1e" + "9" * 30,
    '"@deep"': "[" * 3_000 + "]" * 3_000,
    '"@deeper"': '{"x":' * 1_500 + "1" + "}" * 1_500,
    '"@nan"': "NaN",
    '"@minus"': "-Infinity",
    '"@half"': '"\\udc00\\ud800"',
    '"@nul"': '"\\u0000a\\u0000"',
}
_characters = st.characters(codec=None)  # lone surrogates too
_odd: Strategy = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(_characters, max_size=30),
    st.sampled_from(["", " ", "0", "true", *(mark.strip('"') for mark in _MARKS)]),
)
anything: Strategy = st.recursive(
    _odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_characters, max_size=8), inner, max_size=3),
    max_leaves=6,
)


def nearly(strategy: Strategy) -> Strategy:
    """As it should be, mostly."""
    return st.one_of(strategy, strategy, strategy, anything)


def part(**fields: Strategy) -> Strategy:
    """An object with some of these fields, each nearly right, and perhaps one that Meta has not announced."""
    told = {name.rstrip("_"): nearly(strategy) for name, strategy in fields.items()}
    return st.builds(lambda one, more: {**one, **more}, st.fixed_dictionaries({}, optional=told), _unannounced)


_unannounced = st.one_of(
    st.just({}), st.just({}), st.dictionaries(st.text(_characters, max_size=10), anything, max_size=1)
)
ids = st.one_of(
    st.sampled_from(["104090000000001", "17841400000000001", "7300000000000001"]), st.integers(), st.text(_characters)
)
mids = st.one_of(st.sampled_from(["m_1", "m_2"]), st.text(_characters, max_size=600))
texts = st.text(_characters, max_size=200)
flags = st.booleans()
times = st.one_of(
    st.integers(1_700_000_000_000, 1_800_000_000_000),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.integers().map(str),
)
urls = st.one_of(
    st.just("https://scontent.example/x.jpg"), st.text(_characters, max_size=40).map("https://".__add__), texts
)
coordinates = part(lat=st.floats() | st.floats().map(str), long=st.floats())
attachments = st.lists(
    nearly(
        part(
            type=st.sampled_from(
                ["image", "audio", "video", "file", "location", "template", "fallback", "story_mention", "reel"]
            ),
            payload=part(url=urls, title=texts, sticker_id=ids, coordinates=coordinates),
            url=urls,
            title=texts,
        )
    ),
    max_size=4,
)
roles = st.dictionaries(ids.map(str), st.lists(texts, max_size=2), max_size=3)

KINDS: dict[str, Strategy] = {
    "message": part(
        mid=mids, text=texts, is_echo=flags, app_id=ids, metadata=texts, is_deleted=flags, is_unsupported=flags,
        quick_reply=part(payload=texts), attachments=attachments, reply_to=part(mid=mids, story=part(id=ids, url=urls)),
        nlp=anything,
    ),
    "message_edit": part(mid=mids, text=texts, num_edit=st.integers()),
    "postback": part(mid=mids, title=texts, payload=texts, referral=part(ref=texts, source=texts)),
    "reaction": part(mid=mids, action=st.sampled_from(["react", "unreact"]), reaction=texts, emoji=texts),
    "read": part(watermark=times, mid=mids),
    "delivery": part(watermark=times, mids=st.lists(mids, max_size=4)),
    "referral": part(ref=texts, source=texts, type=texts),
    "optin": part(ref=texts, payload=texts, type=texts, user_ref=texts),
    "pass_thread_control": part(previous_owner_app_id=ids, new_owner_app_id=ids, metadata=texts),
    "take_thread_control": part(previous_owner_app_id=ids, new_owner_app_id=ids, metadata=texts),
    "request_thread_control": part(requested_owner_app_id=ids, metadata=texts),
    "app_roles": roles,
    "policy_enforcement": part(action=st.sampled_from(["block", "unblock", "warning"]), reason=texts),
    "policy-enforcement": part(action=texts, reason=texts),
}  # fmt: skip


@st.composite
def items(draw: Callable[[Strategy], Any]) -> Any:
    """One messaging item: its parties, its time, and one kind (sometimes two)."""
    party = nearly(st.one_of(part(id=ids), part(user_ref=texts), ids))
    item = draw(part(sender=party, recipient=party, timestamp=times))
    for name in draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=2)):
        item[name] = draw(nearly(KINDS[name]))
    return item


_changes = part(
    field=st.sampled_from(["messages", "messaging_postbacks", "standby", "feed", "comments"]), value=nearly(items())
)
_entries = part(
    id=ids,
    time=times,
    messaging=st.lists(nearly(items()), max_size=3),
    standby=st.lists(nearly(items()), max_size=1),
    changes=st.lists(nearly(_changes), max_size=1),
)
_bodies = st.fixed_dictionaries(
    {"object": nearly(st.sampled_from(["page", "instagram"])), "entry": nearly(st.lists(nearly(_entries), max_size=2))}
)


def _written(value: Any, twice: str, ascii_only: bool) -> bytes:
    """The body's bytes; `twice`: a key that comes twice wherever it comes, first with another value."""
    told = json.dumps(value, ensure_ascii=ascii_only)
    for mark, raw in _MARKS.items():
        told = told.replace(mark, raw)
    told = told.replace(f'"{twice}":', f'"{twice}": [], "{twice}":')
    return told.encode("utf-8", "surrogatepass")


bodies = st.builds(
    _written, _bodies, st.sampled_from(["", "", "text", "id", "message", "entry", "object", "timestamp"]), flags
)


def search(run: Callable[[bytes], None], runs: int) -> None:
    """Give `run` so many bodies. Raises what it raises, for the smallest body that makes it."""

    @settings(
        max_examples=runs,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(bodies)
    def one(data: bytes) -> None:
        run(data)

    one()
