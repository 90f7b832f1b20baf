import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import BadPayload
from bot.core.messages import Channel, Edit, Event, Message, Platform, Unknown, body_from_json, body_to_json
from bot.gateway.ports import GatewayDeps
from bot.meta.payloads import ITEMS_MAX, parse

PAYLOADS = Path(__file__).parents[2] / "payloads"
INDEX: dict[str, list[dict[str, Any]]] = json.loads((PAYLOADS / "index.json").read_text(encoding="utf-8"))
RECEIVED = datetime(2026, 1, 15, 9, 0, 5, tzinfo=timezone.utc)
PAGE, PERSON, STAMP = "104090000000001", "7300000000000001", 1768467600000


def _parse(data: object) -> list[Event]:
    return parse(json.dumps(data).encode(), RECEIVED)


def _page(*items: object) -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": PAGE, "time": STAMP, "messaging": list(items)}]}


def _item(**part: object) -> dict[str, Any]:
    return {"sender": {"id": PERSON}, "recipient": {"id": PAGE}, "timestamp": STAMP, **part}


def _check(event: Event, expected: dict[str, Any]) -> None:
    body = body_to_json(event.body)
    at = (
        RECEIVED
        if expected.get("at") == "received"
        else datetime.fromisoformat(expected.get("at", event.at.isoformat()))
    )
    assert (event.kind, event.person, event.at) == (expected["kind"], expected["person"], at)
    for name in ("account", "platform", "channel", "mid"):
        if name in expected:
            assert getattr(event, name) == expected[name], name
    for name in ("text", "why"):
        if name in expected:
            assert body[name] == expected[name]
    if expected.get("key") == "sha256":
        assert event.key.startswith("sha256:")
    elif "key" in expected:
        assert event.key == expected["key"]
    for name, value in expected.get("body", {}).items():
        assert body[name] == value, name


def test_the_index_and_the_files_are_the_same_set() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} - {"index"} == set(INDEX)
    assert len(INDEX) >= 70


@pytest.mark.parametrize("name", sorted(INDEX))
def test_payload(name: str) -> None:
    events = parse((PAYLOADS / f"{name}.json").read_bytes(), RECEIVED)
    assert len(events) == len(INDEX[name])
    for event, expected in zip(events, INDEX[name], strict=True):
        _check(event, expected)


@pytest.mark.parametrize("name", sorted(INDEX))
def test_what_is_read_can_be_stored_and_read_the_same_again(name: str) -> None:
    raw = (PAYLOADS / f"{name}.json").read_bytes()
    for event in parse(raw, RECEIVED):
        _assert_storable(event)
    assert parse(raw, RECEIVED) == parse(raw, RECEIVED)


def _assert_storable(event: Event) -> None:
    stored = json.dumps(body_to_json(event.body), ensure_ascii=False, allow_nan=False)
    ids = (event.account, event.person or "", event.key, event.mid or "")
    assert "\x00" not in stored
    assert "\\u0000" not in stored
    (stored + "".join(ids)).encode("utf-8")
    assert "\x00" not in "".join(ids)
    assert all(len(part) < 1000 for part in ids)
    assert body_from_json(json.loads(stored)) == event.body


def test_every_kind_of_event_has_a_payload() -> None:
    kinds = {expected["kind"] for events in INDEX.values() for expected in events}
    assert kinds == {
        "text",
        "quick_reply",
        "attachment",
        "unsupported",
        "empty",
        "postback",
        "echo",
        "edit",
        "unsend",
        "reaction",
        "read",
        "delivery",
        "referral",
        "optin",
        "thread_control",
        "policy_enforcement",
        "unknown",
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b'{"object":"page"',
        b"null",
        b"[]",
        b'"page"',
        b"17",
        b"\xff\xfe\x00",
        b'{"a":"\xe9"}',
        b"<html>",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"object":"page","entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"true false",
        b'{"object":"page"}}',
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadPayload):
        parse(raw, RECEIVED)


@pytest.mark.parametrize("where", ["entry", "messaging", "standby", "changes"])
def test_more_items_than_meta_can_mean_are_refused_and_as_many_as_fit_are_read(where: str) -> None:
    def body(count: int) -> bytes:
        items = [0] * count
        entry = items if where == "entry" else [{"id": PAGE, where: items}]
        return json.dumps({"object": "page", "entry": entry}).encode()

    assert len(parse(body(1_000), RECEIVED)) == 1_000
    with pytest.raises(BadPayload, match="too many items"):
        parse(body(ITEMS_MAX + 1), RECEIVED)


def test_no_body_of_real_messages_has_too_many_items() -> None:
    item = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": STAMP, "message": {"mid": "m", "text": "a"}}
    assert GatewayDeps.max_body / len(json.dumps(item, separators=(",", ":"))) < ITEMS_MAX


def test_a_refusal_does_not_quote_the_body() -> None:
    with pytest.raises(BadPayload) as caught:
        parse(b'{"text": "il me frappe', RECEIVED)
    assert "frappe" not in str(caught.value)


def test_a_nest_that_json_can_read_costs_no_neighbour() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"x": [deep]}
    raw = json.dumps(_page({"hologram": deep}, _item(message={"mid": "m_1", "text": "bonjour"}))).encode()
    assert [event.kind for event in parse(raw, RECEIVED)] == ["unknown", "text"]


def test_without_an_arrival_time_now_is_taken() -> None:
    raw = json.dumps({"object": "page", "entry": [{"messaging": [{"message": {"mid": "m_1", "text": "a"}}]}]}).encode()
    assert abs(parse(raw)[0].at - datetime.now(timezone.utc)) < timedelta(minutes=1)


# Keys


def test_edits_and_the_withdrawal_of_one_message_have_keys_of_their_own() -> None:
    events = _parse(
        _page(
            _item(message={"mid": "m_1", "text": "a"}),
            *(_item(message_edit={"mid": "m_1", "text": "a", "num_edit": n}) for n in range(6)),
            _item(message={"mid": "m_1", "is_deleted": True}),
            _item(reaction={"mid": "m_1", "action": "react", "emoji": "x"}),
            _item(reaction={"mid": "m_1", "action": "unreact"}),
            _item(read={"mid": "m_1"}),
        )
    )
    assert len({event.key for event in events}) == len(events) == 11


def test_the_same_edit_delivered_twice_has_the_same_key() -> None:
    first, again = _parse(_page(*[_item(message_edit={"mid": "m_1", "text": "a", "num_edit": 1})] * 2))
    assert first.key == again.key


def test_a_hashed_key_depends_on_content_platform_and_account_but_not_on_the_order_of_fields() -> None:
    read = {"read": {"watermark": STAMP}}
    other_order = dict(reversed(list(_item(**read).items())))
    on_page = _parse(_page(_item(**read), other_order, _item(read={"watermark": STAMP + 1})))
    elsewhere = _page(_item(**read))
    elsewhere["entry"][0]["id"] = "2"
    on_instagram = {**_page(_item(**read)), "object": "instagram"}
    keys = [event.key for event in (*on_page, *_parse(elsewhere), *_parse(on_instagram))]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_the_platform_is_the_body_s_object() -> None:
    data = _page(_item(message={"mid": "m_1", "text": "a"}))
    assert _parse(data)[0].platform is Platform.MESSENGER
    assert _parse({**data, "object": "instagram"})[0].platform is Platform.INSTAGRAM


# Times


@pytest.mark.parametrize("late", [timedelta(hours=25), timedelta(days=4000)])
def test_a_time_ahead_of_arrival_is_not_believed(late: timedelta) -> None:
    ahead = int((RECEIVED + late).timestamp() * 1000)
    event = _parse(_page(_item(message={"mid": "m_1", "text": "a"}, timestamp=ahead)))[0]
    assert event.at == datetime.fromtimestamp(STAMP / 1000, tz=timezone.utc)


def test_an_old_message_keeps_its_own_time() -> None:
    event = _parse(_page(_item(message={"mid": "m_1", "text": "a"}, timestamp=1600000000)))[0]
    assert event.at == datetime(2020, 9, 13, 12, 26, 40, tzinfo=timezone.utc)


# Anything at all

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=30)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
_WORDS = """object entry messaging standby changes field value id time sender recipient timestamp message mid text
attachments type payload coordinates lat long is_echo is_deleted is_unsupported app_id metadata quick_reply reply_to
story url title sticker_id message_edit num_edit postback referral ref source reaction emoji action read delivery mids
watermark optin pass_thread_control app_roles policy_enforcement policy-enforcement user_ref messages"""
_NAMES = st.sampled_from(_WORDS.split())
_SHAPED = st.recursive(
    st.one_of(_SCALARS, st.sampled_from(["page", "instagram", "messages", PAGE, STAMP, str(STAMP), 1e999, 10**60])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_NAMES, inner, max_size=6)),
    max_leaves=30,
)
_PARTS = st.dictionaries(_NAMES, _SHAPED, max_size=8)


def _read_anything(data: object) -> list[Event]:
    try:
        return _parse(data)
    except BadPayload:
        assert not isinstance(data, dict)
        return []


@settings(deadline=None, max_examples=300)
@given(st.one_of(_JSON, _SHAPED))
def test_no_json_raises_anything_but_bad_payload(data: object) -> None:
    for event in _read_anything(data):
        _assert_storable(event)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(_PARTS, _SHAPED), max_size=5), st.sampled_from(["messaging", "standby", "changes"]))
def test_every_item_is_one_event_and_costs_no_neighbour(items: list[object], channel: str) -> None:
    good = _item(message={"mid": "m_good", "text": "bonjour"})
    wrapped = {"field": "messages", "value": good} if channel == "changes" else good
    data = {"object": "page", "entry": [{"id": PAGE, "time": STAMP, channel: [*items, wrapped]}]}
    *others, last = _parse(data)
    assert len(others) == len(items)
    assert (last.kind, last.person, last.mid, last.channel) == ("text", PERSON, "m_good", Channel(channel))
    for event in others:
        _assert_storable(event)
        if isinstance(event.body, Unknown):
            assert not event.body.why.startswith("not readable"), "met by the guard that is for bugs alone"


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_bad_payload(raw: bytes) -> None:
    try:
        parse(raw, RECEIVED)
    except BadPayload:
        return


@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_arrives_cleaned_in_a_message_and_in_an_edit(text: str) -> None:
    message, edit = _parse(
        _page(_item(message={"mid": "m", "text": text}), _item(message_edit={"mid": "m", "text": text}))
    )
    assert isinstance(message.body, Message)
    assert isinstance(edit.body, Edit)
    assert message.body.text == edit.body.text
    message.body.text.encode()


def test_a_large_batch_is_read_quickly() -> None:
    items = [_item(message={"mid": f"m_{n}", "text": "é" * 900}) for n in range(1000)]
    raw = json.dumps(_page(*items)).encode()
    start = time.process_time()  # others who keep the machine busy do not count
    assert len(parse(raw, RECEIVED)) == 1000
    assert time.process_time() - start < 10
