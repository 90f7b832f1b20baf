"""Two phones in a citizen's hands: each gesture becomes webhooks, each send of the page a bubble."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.core.clock import Clock
from bot.core.messages import Platform
from bot.sandbox import webhooks
from bot.sandbox.graph import Graph, Sent
from bot.sandbox.phone import Bubble, Phone
from bot.sandbox.webhooks import Carrier, Json, Refused, item

TEXT_MAX = 5000  # more than the apps let a person type
READ_AFTER = 0.8  # seconds that a person needs to look at what came
PLACE = (48.8550, 2.3466, "Position partagée")
BATCH = ("Bonjour", "j'ai perdu ma carte d'identité hier", "et mon permis aussi, je fais comment ?")
_ANSWERED_TRIES = 4  # echoes, deliveries and reads


class Impossible(Exception):
    """The gesture makes no sense now; the text says why, in French."""


class Citizen:
    """The person's side. `changed` is called whenever a phone looks different; `watched` says whether anyone looks."""

    def __init__(
        self,
        graph: Graph,
        clock: Clock,
        accounts: dict[Platform, str],
        media_url: str,
        changed: Callable[[], None],
        watched: Callable[[], bool],
    ) -> None:
        self.phones = {platform: Phone(platform, account) for platform, account in accounts.items()}
        self.away = False  # the gateway did not answer last time
        self.carrier: Carrier | None = None  # set when the server starts
        self._graph = graph
        self._clock = clock
        self._media = media_url.rstrip("/")
        self._changed = changed
        self._watched = watched
        self._orders = {platform: asyncio.Lock() for platform in accounts}
        self._tasks: set[asyncio.Task[None]] = set()
        self._gestures: dict[str, Callable[[Phone, Json], None]] = {
            "texte": self._text,
            "reponse": self._quick_reply,
            "photo": lambda phone, _: self._attach(phone, "photo", self._link("image", "photo.png")),
            "vocal": lambda phone, _: self._attach(phone, "voice", self._link("audio", "vocal.wav")),
            "pouce": self._thumb,
            "coeur": self._heart,
            "position": self._place,
            "lot": self._batch,
            "double": self._again,
            "retirer": self._withdraw,
            "modifier": self._edit,
            "nouveau": self._newcomer,
        }
        graph.on_sent = self._sent
        graph.on_action = self._acted
        graph.on_echo = self._echo

    def gesture(self, platform: Platform, name: str, data: Json) -> None:
        """Do what a person did on the page. Raises Impossible."""
        if name not in self._gestures:
            raise Impossible("Ce geste n’existe pas.")
        self._gestures[name](self.phones[platform], data)
        self._changed()

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # -- gestures ------------------------------------------------------------------------------------------------

    def _text(self, phone: Phone, data: Json) -> None:
        words = _words(data)
        mid = webhooks.new_mid(phone.platform)
        self._say(phone, [Bubble(True, "text", words, self._clock.now(), mid)], [{"mid": mid, "text": words}])

    def _quick_reply(self, phone: Phone, data: Json) -> None:
        chosen = (str(data.get("title") or ""), str(data.get("payload") or ""))
        if chosen not in phone.offered:
            raise Impossible("Cette réponse n’est plus proposée.")
        title, payload = chosen
        mid = webhooks.new_mid(phone.platform)
        message = {"mid": mid, "text": title, "quick_reply": {"payload": payload}}
        self._say(phone, [Bubble(True, "text", title, self._clock.now(), mid)], [message])

    def _link(self, kind: str, file: str) -> Json:
        return {"type": kind, "payload": {"url": f"{self._media}/{file}"}}

    def _attach(self, phone: Phone, kind: str, attachment: Json, **more: Any) -> None:
        mid = webhooks.new_mid(phone.platform)
        bubble = Bubble(True, kind, "", self._clock.now(), mid)
        self._say(phone, [bubble], [{"mid": mid, "attachments": [attachment], **more}])

    def _thumb(self, phone: Phone, _: Json) -> None:
        if phone.platform is not Platform.MESSENGER:
            raise Impossible("Le pouce n’existe que sur Messenger.")
        payload = {"url": f"{self._media}/pouce.png", "sticker_id": webhooks.THUMB}
        self._attach(phone, "thumb", {"type": "image", "payload": payload}, sticker_id=webhooks.THUMB)

    def _heart(self, phone: Phone, _: Json) -> None:
        if phone.platform is not Platform.INSTAGRAM:
            raise Impossible("Le cœur n’existe que sur Instagram.")
        self._attach(phone, "heart", {"type": "like_heart"})

    def _place(self, phone: Phone, _: Json) -> None:
        lat, long, title = PLACE
        self._attach(
            phone, "place", {"type": "location", "title": title, "payload": {"coordinates": {"lat": lat, "long": long}}}
        )

    def _batch(self, phone: Phone, _: Json) -> None:
        now = self._clock.now()
        bubbles = [
            Bubble(True, "text", words, now + timedelta(milliseconds=n), webhooks.new_mid(phone.platform))
            for n, words in enumerate(BATCH)
        ]
        self._say(phone, bubbles, [{"mid": bubble.mid, "text": bubble.text} for bubble in bubbles])

    def _again(self, phone: Phone, _: Json) -> None:
        if phone.last_raw is None or any(b.state in ("sending", "waiting") for b in phone.last_sent):
            raise Impossible("Envoyez d’abord un message.")
        self._start(self._carry(phone, phone.last_raw, phone.last_sent, again=True))

    def _withdraw(self, phone: Phone, _: Json) -> None:
        last = phone.last_mine
        if last is None:
            raise Impossible("Il n’y a pas de message à retirer.")
        last.withdrawn = True
        part = {"mid": last.mid, "is_deleted": True}
        self._graph.threads.change(str(last.mid), None)
        self._start(self._carry(phone, self._raw(phone, [self._item(phone, message=part)]), ()))

    def _edit(self, phone: Phone, data: Json) -> None:
        last, words = phone.editable, _words(data)
        if last is None:
            raise Impossible("Il n’y a pas de message à modifier.")
        last.edits += 1
        last.text = words
        self._graph.threads.change(str(last.mid), words)
        part = {"mid": last.mid, "text": words, "num_edit": last.edits}
        self._start(self._carry(phone, self._raw(phone, [self._item(phone, message_edit=part)]), (last,)))

    def _newcomer(self, phone: Phone, _: Json) -> None:
        phone.hand_over()

    # -- from the phone to the gateway ---------------------------------------------------------------------------

    def _say(self, phone: Phone, bubbles: Sequence[Bubble], messages: Sequence[Json]) -> None:
        now = self._clock.now()
        self._graph.person_wrote(phone.person, now, phone.platform, phone.name)
        for bubble in bubbles:
            bubble.state = "sending"
            phone.add(bubble)
        for bubble, message in zip(bubbles, messages, strict=True):
            self._graph.wrote(
                phone.person,
                str(message.get("text") or ""),
                str(bubble.mid),
                bubble.at,
                phone.platform,
                message.get("attachments") or (),
            )
        items = [
            item(phone.person, phone.account, bubble.at, message=message)
            for bubble, message in zip(bubbles, messages, strict=True)
        ]
        phone.last_raw, phone.last_sent = self._raw(phone, items), tuple(bubbles)
        self._start(self._carry(phone, phone.last_raw, phone.last_sent))

    def _item(self, phone: Phone, **part: Json) -> Json:
        return item(phone.person, phone.account, self._clock.now(), **part)

    def _raw(self, phone: Phone, items: Sequence[Json]) -> bytes:
        return webhooks.encode(webhooks.body(phone.platform, phone.account, self._clock.now(), items))

    async def _carry(self, phone: Phone, raw: bytes, bubbles: Sequence[Bubble], again: bool = False) -> None:
        """Deliver in the order of the gestures; while the gateway is away the bubbles say so."""
        assert self.carrier is not None
        async with self._orders[phone.platform]:
            try:
                if not await self.carrier.deliver(raw, tries=2):
                    self._mark(bubbles, "waiting", away=True)
                    await self.carrier.deliver(raw)
            except Refused:
                self._mark(bubbles, "refused", away=False)
                return
        if again:
            for bubble in bubbles:
                bubble.times += 1
        self._mark(bubbles, "delivered", away=False)

    def _mark(self, bubbles: Sequence[Bubble], state: str, away: bool) -> None:
        for bubble in bubbles:
            bubble.state = state
        self.away = away
        self._changed()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- from the page to the phone ------------------------------------------------------------------------------

    def _phone_of(self, person: str) -> Phone | None:
        return next((phone for phone in self.phones.values() if phone.person == person), None)

    def _acted(self, person: str, action: str) -> None:
        phone = self._phone_of(person)
        if phone is not None:
            phone.acted(action)
            self._changed()

    def _sent(self, sent: Sent, message: Json) -> None:
        phone = self._phone_of(sent.person)
        if phone is None:
            return  # an earlier citizen's phone is no longer on the table
        offered = tuple((str(q["title"]), str(q["payload"])) for q in message.get("quick_replies", ()))
        phone.add(Bubble(False, "text", sent.text, sent.at, sent.mid, offered, links=sent.links))
        phone.acted("mark_seen")
        phone.acted("typing_off")
        self._changed()
        self._start(self._received(phone, sent))

    async def _echo(self, body: Json) -> None:
        assert self.carrier is not None
        with contextlib.suppress(Refused):
            await self.carrier.deliver(webhooks.encode(body), tries=_ANSWERED_TRIES)

    async def _received(self, phone: Phone, sent: Sent) -> None:
        """Tell the page that its message arrived (Messenger alone does), and soon that it was read."""
        mark = webhooks.milliseconds(sent.at)
        if phone.platform is Platform.MESSENGER:
            await self._report(phone, sent, None, delivery={"mids": [sent.mid], "watermark": mark})
        await asyncio.sleep(READ_AFTER)
        if self._watched() and phone.person == sent.person:
            read: Json = {"watermark": mark} if phone.platform is Platform.MESSENGER else {"mid": sent.mid}
            await self._report(phone, sent, self._clock.now(), read=read)

    async def _report(self, phone: Phone, sent: Sent, at: datetime | None, **part: Json) -> None:
        assert self.carrier is not None
        raw = self._raw(phone, [item(sent.person, phone.account, at, **part)])
        with contextlib.suppress(Refused):
            await self.carrier.deliver(raw, tries=_ANSWERED_TRIES)


def _words(data: Json) -> str:
    words = str(data.get("text") or "").strip()
    if not words:
        raise Impossible("Écrivez d’abord un message.")
    return words[:TEXT_MAX]
