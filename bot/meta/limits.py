"""Meta's limits and the one table of its errors, shared by the sender and by the sandbox's Graph API.

The same code means different things: a row is looked up by code and subcode, then by subcode (seven-digit ones are
unique, and Meta files some under two codes), then by code, then by HTTP status.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from bot.core.messages import Platform

MESSENGER_TEXT_CHARACTERS = 1999  # "under 2,000"
INSTAGRAM_TEXT_BYTES = 1000
QUICK_REPLIES = 13
QUICK_REPLY_TITLE = 20
QUICK_REPLY_PAYLOAD = 1000
TEMPLATE_TEXT = 640
BUTTONS = 3
BUTTON_TITLE = 20
METADATA_CHARACTERS = 999
WINDOW = timedelta(hours=24)
HUMAN_AGENT_WINDOW = timedelta(days=7)


def text_size(text: str, platform: Platform) -> int:
    """Size of a text in the unit that the platform limits: UTF-8 bytes on Instagram, else UTF-16 units.

    Meta does not say how Messenger counts an emoji; UTF-16 is the dearest reading, so it is the safe one."""
    return len(text.encode()) if platform is Platform.INSTAGRAM else len(text.encode("utf-16-le")) // 2


def text_limit(platform: Platform) -> int:
    """The largest `text_size` that the platform takes."""
    return INSTAGRAM_TEXT_BYTES if platform is Platform.INSTAGRAM else MESSENGER_TEXT_CHARACTERS


class Verdict(enum.Enum):
    """What to do with a message that Meta refused."""

    FINAL = "final"  # never leaves
    RETRY = "retry"  # later, alone
    RATE = "rate"  # the whole account slows down
    STOP = "stop"  # the whole account stops until an operator has acted
    WAIT_CONTROL = "wait_control"  # another app owns the thread


@dataclass(frozen=True)
class ErrorRow:
    """One line of the table. `remedy` is French, for agents and operators. Nothing is given up for the number of its tries.

    `first_wait`: seconds before the first new try of a RATE, where Meta's headers name no time; doubled each time.
    `whole_app`: it is the application's limit: all its accounts pause. `halves`: and then the pace is halved for an hour.
    `odd`: hardly passes by itself, so that it is tried ever more seldom. `tell`: an operator should look at it.
    `by_hand`: a STOP that no try of an ordinary message may end.
    """

    code: int | None
    subcode: int | None
    verdict: Verdict
    slug: str
    remedy: str
    first_wait: float = 0.0
    whole_app: bool = False
    halves: bool = False
    odd: bool = False
    tell: bool = False
    by_hand: bool = False


_F, _R, _S, _L = Verdict.FINAL, Verdict.RETRY, Verdict.STOP, Verdict.RATE
_WINDOW = (
    "Hors délai : Meta n’accepte plus de réponse, le dernier message de la personne est trop ancien. "
    "Attendez qu’elle écrive de nouveau."
)
_GONE = (
    "La personne n’est plus joignable : elle a bloqué la page, fermé son compte ou refusé les messages. "
    "Aucun nouvel envoi n’est possible."
)
_LINK = (
    "Le compte Instagram n’est plus relié à la page, ou son accès aux messages a été retiré. "
    "Reliez-le de nouveau dans les réglages de la page."
)
_NO_USER = (
    "Meta ne connaît pas ce destinataire : il a sans doute supprimé son compte. Aucun nouvel envoi n’est possible."
)
_MEDIA = "Meta refuse la pièce jointe (format, taille ou adresse). Envoyez le message sans elle."
_BAD = "Meta juge le message mal formé. Reformulez-le plus court et sans pièce jointe, puis envoyez-le de nouveau."
_OWNER = (
    "Une autre application, souvent la boîte de réception de Meta, a la main sur cette conversation. "
    "L’envoi reprendra quand elle la rendra."
)
_RENEW = (
    "Le jeton de la page n’est plus valable (expiré, révoqué ou mot de passe changé). "
    "Faites-le renouveler par un détenteur du compte, puis remplacez META_PAGE_TOKEN."
)
_RATE = "Meta demande de ralentir : l’envoi reprend tout seul."
_TAG = (
    "Meta juge l’étiquette HUMAN_AGENT employée à tort : l’envoi ralentit. Ne l’employez que pour une réponse humaine."
)
_TEMPORARY = "Panne passagère chez Meta : l’envoi est répété tout seul."
_PROFILE = "Le nom de cette personne n’est pas disponible : continuez sans lui."
_PERMISSION = (
    "Meta refuse l’accès (autorisation pages_messaging ou instagram_manage_messages absente ou retirée). "
    "Vérifiez les autorisations de l’application."
)
_BLOCKED = "Meta interdit à la page d’envoyer des messages. Ouvrez « Qualité de la page » chez Meta et faites appel."
_UNKNOWN = (
    "Meta refuse le message avec un code que Planton ne connaît pas : l’envoi est répété, de plus en plus rarement. "
    "Signalez-le à l’exploitant."
)
_APP = "Meta limite toute l’application : tous ses comptes attendent, l’envoi reprend tout seul."
_USER = (
    "Meta compte ces appels sur un jeton d’utilisateur. L’envoi reprend tout seul ; "
    "vérifiez que META_PAGE_TOKEN est bien le jeton d’une page."
)
_VOLUME = "Meta trouve étrange la variation du nombre d’appels : l’envoi va deux fois moins vite pendant une heure."
_POLICY = (
    "Meta bloque la page pour un comportement qu’il juge abusif. Ouvrez « Qualité de la page » chez Meta et faites appel ; "
    "au bout de quelques heures, faites : planton meta resume."
)
_PROOF = "Meta refuse la preuve faite avec le secret de l’application. Corrigez META_APP_SECRET, puis redémarrez l’expéditeur."

TABLE: tuple[ErrorRow, ...] = (
    ErrorRow(10, 2018278, _F, "outside_window", _WINDOW),
    ErrorRow(10, 2534022, _F, "outside_window", _WINDOW),
    ErrorRow(10, 2018108, _F, "person_unavailable", _GONE),
    ErrorRow(551, None, _F, "person_unavailable", _GONE),
    ErrorRow(551, 1545041, _F, "person_unavailable", _GONE),
    ErrorRow(200, 1545041, _F, "person_unavailable", _GONE),
    ErrorRow(10, 1893063, _S, "page_blocked", _BLOCKED),
    ErrorRow(10, 2534077, _S, "instagram_unlinked", _LINK),
    ErrorRow(200, 2534041, _S, "instagram_unlinked", _LINK),
    ErrorRow(10, None, _R, "permission", _PERMISSION, odd=True),
    ErrorRow(200, None, _R, "permission", _PERMISSION, odd=True),
    ErrorRow(100, 2018001, _F, "no_such_user", _NO_USER),
    ErrorRow(100, 2534014, _F, "no_such_user", _NO_USER),
    ErrorRow(100, 2018008, _F, "media", _MEDIA),
    ErrorRow(100, 2018047, _F, "media", _MEDIA),
    ErrorRow(100, 2018109, _F, "media", _MEDIA),
    ErrorRow(100, 2018294, _F, "media", _MEDIA),
    ErrorRow(100, 2534015, _F, "bad_message", _BAD),
    ErrorRow(100, 2534025, _F, "bad_message", _BAD),
    ErrorRow(100, 2534037, Verdict.WAIT_CONTROL, "other_owner", _OWNER),
    ErrorRow(100, 2018300, Verdict.WAIT_CONTROL, "other_owner", _OWNER),
    ErrorRow(100, 2018218, _F, "profile_unavailable", _PROFILE),
    ErrorRow(100, 2018247, _F, "profile_unavailable", _PROFILE),
    ErrorRow(230, None, _F, "profile_unavailable", _PROFILE),
    ErrorRow(2018218, None, _F, "profile_unavailable", _PROFILE),
    ErrorRow(2018247, None, _F, "profile_unavailable", _PROFILE),
    ErrorRow(100, None, _F, "bad_message", _BAD),
    ErrorRow(190, None, _S, "token", _RENEW),
    ErrorRow(190, 458, _S, "token", _RENEW),
    ErrorRow(190, 460, _S, "token", _RENEW),
    ErrorRow(190, 463, _S, "token", _RENEW),
    ErrorRow(4, None, _L, "rate_limit_app", _APP, whole_app=True),
    ErrorRow(17, None, _L, "rate_limit_user", _USER, tell=True),
    ErrorRow(32, None, _L, "rate_limit_user", _USER, tell=True),
    ErrorRow(341, None, _L, "rate_limit_app", _APP, first_wait=60.0, whole_app=True),
    ErrorRow(613, None, _L, "rate_limit", _RATE),
    ErrorRow(613, 1996, _L, "volume", _VOLUME, first_wait=10.0, halves=True, tell=True),
    ErrorRow(613, 2018338, _L, "tag_abuse", _TAG, first_wait=10.0, tell=True),
    ErrorRow(80001, None, _L, "rate_limit", _RATE),
    ErrorRow(80002, None, _L, "rate_limit", _RATE),
    ErrorRow(80005, None, _L, "rate_limit", _RATE, tell=True),
    ErrorRow(80006, None, _L, "rate_limit", _RATE),
    ErrorRow(80008, None, _L, "rate_limit", _RATE, tell=True),
    ErrorRow(368, None, _S, "policy_block", _POLICY, by_hand=True),
    ErrorRow(1, None, _R, "temporary", _TEMPORARY),
    ErrorRow(2, None, _R, "temporary", _TEMPORARY),
    ErrorRow(1200, None, _R, "temporary", _TEMPORARY),
)
UNKNOWN = ErrorRow(None, None, _R, "unknown", _UNKNOWN, odd=True, tell=True)
TEMPORARY = ErrorRow(None, None, _R, "temporary", _TEMPORARY)  # HTTP 5xx: the window ends it
TOO_MANY = ErrorRow(None, None, _L, "rate_limit", _RATE)  # HTTP 429, with whatever code
PROOF = ErrorRow(100, None, _S, "app_secret", _PROOF)  # the same code as a malformed message; the words tell
UNAUTHORIZED = ErrorRow(None, None, _S, "token", _RENEW)

REMEDIES: dict[str, str] = {row.slug: row.remedy for row in (*TABLE, UNKNOWN, PROOF)}
BY_HAND = frozenset(row.slug for row in TABLE if row.by_hand)

_BY_PAIR: dict[tuple[int | None, int | None], ErrorRow] = {(row.code, row.subcode): row for row in TABLE}
_BY_SUBCODE: dict[int, ErrorRow] = {row.subcode: row for row in TABLE if row.subcode and row.subcode > 1_000_000}
_WIDE = 100  # a code of so many meanings that without a subcode that we know it means nothing final


def classify(status: int, code: int | None, subcode: int | None, transient: bool = False) -> ErrorRow:
    """The row for an answer of the Graph API; never fails. `transient` is Meta's own `is_transient`.

    Final is only what the table calls so: what is not in it is tried again. A code alone is final, or to be tried again, only
    where the status does not say more: that Meta has too much to do is no fault of the message."""
    row = _BY_PAIR.get((code, subcode)) or _BY_SUBCODE.get(subcode or 0)
    if row is None and not (code == _WIDE and subcode):
        row = _BY_PAIR.get((code, None))
    loose = row is None or (row.subcode is None and row.verdict in (Verdict.FINAL, Verdict.RETRY))
    if loose and status == 429:
        return TOO_MANY
    if row is not None and not (row.verdict is Verdict.FINAL and loose):
        return row
    if status >= 500 or (transient and (row is None or code == _WIDE)):
        return TEMPORARY
    if row is not None:
        return row
    return UNAUTHORIZED if code is None and status == 401 else UNKNOWN
