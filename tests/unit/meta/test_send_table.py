"""The error table says what Meta's documentation says."""

from __future__ import annotations

import json

import pytest

from bot.meta.limits import PROOF, TABLE, UNKNOWN, Verdict, classify
from bot.meta.send_api import GraphError, _read

F, R, S, RATE, WAIT = Verdict.FINAL, Verdict.RETRY, Verdict.STOP, Verdict.RATE, Verdict.WAIT_CONTROL


@pytest.mark.parametrize(
    ("status", "code", "subcode", "verdict", "slug"),
    [
        (400, 10, 2018278, F, "outside_window"),
        (400, 10, 2534022, F, "outside_window"),
        (400, 10, 2018108, F, "person_unavailable"),
        (400, 551, None, F, "person_unavailable"),
        (400, 551, 1545041, F, "person_unavailable"),
        (400, 551, 77, F, "person_unavailable"),
        (403, 200, 1545041, F, "person_unavailable"),
        (403, 10, 1893063, S, "page_blocked"),
        (403, 10, 2534077, S, "instagram_unlinked"),
        (403, 200, 2534041, S, "instagram_unlinked"),
        (400, 100, 2018001, F, "no_such_user"),
        (400, 100, 2534014, F, "no_such_user"),
        (400, 100, 2018008, F, "media"),
        (400, 100, 2018047, F, "media"),
        (400, 100, 2018109, F, "media"),
        (400, 100, 2018294, F, "media"),
        (400, 100, 2534015, F, "bad_message"),
        (400, 100, 2534025, F, "bad_message"),
        (400, 100, 2534037, WAIT, "other_owner"),
        (400, 100, 2018300, WAIT, "other_owner"),
        (400, 10, 2018300, WAIT, "other_owner"),
        (401, 190, None, S, "token"),
        (401, 190, 458, S, "token"),
        (401, 190, 460, S, "token"),
        (401, 190, 463, S, "token"),
        (401, 190, 999, S, "token"),
        (400, 4, None, RATE, "rate_limit_app"),
        (403, 4, 2446079, RATE, "rate_limit_app"),
        (400, 17, None, RATE, "rate_limit_user"),
        (400, 32, None, RATE, "rate_limit_user"),
        (400, 341, None, RATE, "rate_limit_app"),
        (400, 613, None, RATE, "rate_limit"),
        (400, 613, 1996, RATE, "volume"),
        (400, 80001, 2446079, RATE, "rate_limit"),
        (400, 80002, None, RATE, "rate_limit"),
        (400, 80005, None, RATE, "rate_limit"),
        (400, 80006, 2446079, RATE, "rate_limit"),
        (429, 80006, None, RATE, "rate_limit"),
        (400, 80008, None, RATE, "rate_limit"),
        (400, 368, None, S, "policy_block"),
        (400, 368, 1390008, S, "policy_block"),
        (429, 987654, 3, RATE, "rate_limit"),
        (400, 100, None, F, "bad_message"),
        (400, 100, 33, R, "unknown"),
        (400, 613, 2018338, RATE, "tag_abuse"),
        (500, 1, None, R, "temporary"),
        (400, 1, 99, R, "temporary"),
        (500, 2, None, R, "temporary"),
        (400, 1200, None, R, "temporary"),
        (400, 2018218, None, F, "profile_unavailable"),
        (400, 100, 2018247, F, "profile_unavailable"),
        (403, 230, None, F, "profile_unavailable"),
        (403, 10, None, R, "permission"),
        (403, 200, 12, R, "permission"),
        (503, None, None, R, "temporary"),
        (500, 987654, None, R, "temporary"),
        (429, None, None, RATE, "rate_limit"),
        (401, None, None, S, "token"),
        (400, 987654, 3, R, "unknown"),
        (404, None, None, R, "unknown"),
    ],
)
def test_classify(status: int, code: int | None, subcode: int | None, verdict: Verdict, slug: str) -> None:
    row = classify(status, code, subcode)
    assert (row.verdict, row.slug) == (verdict, slug)


def test_transient_unknown_is_tried_again() -> None:
    assert classify(400, 987654, None, transient=True).verdict is R
    assert classify(400, 551, None, transient=True).verdict is F


@pytest.mark.parametrize(
    ("status", "code", "subcode", "transient", "slug"),
    [
        (429, 100, None, False, "rate_limit"),
        (429, 551, 77, False, "rate_limit"),
        (429, 2, None, False, "rate_limit"),
        (429, 10, None, False, "rate_limit"),
        (500, 100, None, False, "temporary"),
        (503, 551, None, False, "temporary"),
        (400, 100, None, True, "temporary"),
        (429, 4, None, False, "rate_limit_app"),
        (429, 190, None, False, "token"),
        (429, 10, 2018278, False, "outside_window"),
        (500, 551, 1545041, False, "person_unavailable"),
        (500, 100, 2018001, True, "no_such_user"),
    ],
)
def test_what_the_status_says_of_meta_is_no_fault_of_the_message(
    status: int, code: int, subcode: int | None, transient: bool, slug: str
) -> None:
    assert classify(status, code, subcode, transient).slug == slug


def test_table_is_consistent() -> None:
    assert len({(row.code, row.subcode) for row in TABLE}) == len(TABLE)
    rows = (*TABLE, UNKNOWN, PROOF)
    for row in rows:
        assert row.remedy.endswith(".")
        assert len({other.remedy for other in rows if other.slug == row.slug}) == 1
        assert len({other.verdict for other in rows if other.slug == row.slug}) == 1
        for mark in ":;?!»":  # French spacing
            at = row.remedy.find(mark)
            assert at < 0 or row.remedy[at - 1] in "\u00a0\u202f"


@pytest.mark.parametrize("code", [100, 1, 190, 4, 551, 80006, 987654])
def test_final_is_only_what_is_known_to_be_final(code: int) -> None:
    """A subcode that nobody has seen yet takes nothing away from a message but where its code itself is final."""
    row = classify(400, code, 7)
    assert (row.verdict is F) == (code == 551)
    assert row.verdict in (F, R, S, RATE)


def test_a_secret_that_meta_refuses_is_no_fault_of_the_message() -> None:
    body = json.dumps({"error": {"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}})
    with pytest.raises(GraphError) as found:
        _read(400, {}, body.encode())
    assert (found.value.row.slug, found.value.row.verdict, found.value.proof) == ("app_secret", S, True)
    assert "Invalid" not in str(found.value)
