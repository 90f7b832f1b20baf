"""A Graph API that plays Meta: for the sandbox, the tests and measurements. Same limits and errors as the real one.

It keeps every call, can be scripted to answer badly, and hands echoes to a callback as the body Meta would post.
Standalone: `python -m bot.sandbox.graph --port 8071 --latency 0.1`.
"""

from __future__ import annotations

import argparse
import asyncio
import enum
import hashlib
import hmac
import itertools
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.core.clock import Clock, SystemClock
from bot.core.messages import Platform
from bot.meta import limits
from bot.meta.subscription import FIELDS
from bot.sandbox.threads import BadCursor, Remembered, Threads

EchoCallback = Callable[[dict[str, Any]], Awaitable[None]]
SentCallback = Callable[["Sent", dict[str, Any]], None]  # with the message as it was posted
ActionCallback = Callable[[str, str], None]  # person, sender action
ACTIONS = ("mark_seen", "typing_on", "typing_off")
INBOX_APP = {Platform.MESSENGER: "263902037430900", Platform.INSTAGRAM: "1217981644879628"}
OWN_APP = "424242"


@dataclass
class GraphAccount:
    """A page with the Instagram account linked to it."""

    page_id: str
    token: str = field(repr=False)
    app_secret: str = field(default="", repr=False)
    ig_id: str = ""


@dataclass
class Person:
    """Somebody who may be written to. `wrote_at` opens the window; `owner` is another app that has the thread."""

    id: str
    platform: Platform = Platform.MESSENGER
    wrote_at: datetime | None = None
    name: str = ""
    owner: str | None = None
    blocked: bool = False


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    method: str
    path: str
    params: dict[str, str]
    body: dict[str, Any]
    at: float  # monotonic seconds

    @property
    def person(self) -> str | None:
        """Whom a message or an action was for."""
        recipient = self.body.get("recipient")
        return str(recipient["id"]) if isinstance(recipient, dict) and "id" in recipient else None

    @property
    def text(self) -> str | None:
        """The text that was sent, in a template too, if one was."""
        message = self.body.get("message")
        return _text_of(message) if isinstance(message, dict) else None

    @property
    def action(self) -> str | None:
        """The sender action, if it was one."""
        return self.body.get("sender_action")


@dataclass(frozen=True)
class Sent:
    """A message that was accepted: the person has it."""

    person: str
    text: str
    mid: str
    platform: Platform
    metadata: str | None
    quick_replies: tuple[str, ...]
    tag: str | None
    at: datetime
    overlapped: bool  # an earlier message to this person was still under way
    links: tuple[tuple[str, str], ...] = ()  # (title, address) of a template's buttons; `text` stands above them


class Mood(enum.Enum):
    """How a scripted answer is given."""

    ERROR = "error"
    GARBAGE = "garbage"  # 200, but not JSON
    HANG = "hang"  # never answers
    RESET = "reset"  # the connection breaks


@dataclass(frozen=True)
class Script:
    """What becomes of the next `times` message sends (of `person`, or anyone's).

    `accepted`: the message reached the person all the same (with HANG, RESET and GARBAGE)."""

    mood: Mood | None = None
    times: int = 1
    person: str | None = None
    status: int = 400
    code: int | None = None
    subcode: int | None = None
    accepted: bool = False
    latency: float | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An error answer, by its line of the table."""

    def __init__(self, code: int, subcode: int | None, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.subcode, self.text, self.status = code, subcode, text, status


class Graph:
    """The simulated Graph API. `strict`: only people it was told of can be written to."""

    def __init__(
        self,
        accounts: list[GraphAccount],
        clock: Clock | None = None,
        latency: float = 0.0,
        strict: bool = False,
        on_echo: EchoCallback | None = None,
        echo_delay: float = 0.0,
    ) -> None:
        self.accounts = {account.page_id: account for account in accounts}
        self.clock = clock or SystemClock()
        self.latency = latency
        self.strict = strict
        self.on_echo = on_echo
        self.echo_delay = echo_delay
        self.on_sent: SentCallback | None = None
        self.on_action: ActionCallback | None = None
        self.mid_prefix = "m_"  # a server that starts again must not give the same ids again
        self.calls: list[Call] = []
        self.sent: list[Sent] = []
        self.people: dict[str, Person] = {}
        self.usage_headers: dict[str, str] = {}
        self.threads = Threads()
        self.token: dict[str, Any] = {"expires_at": 0, "scopes": ["pages_messaging", "instagram_manage_messages"]}
        self.subscribed: dict[str, list[str]] = {}  # node → fields; one that is not here has all of them
        self._readings: deque[Script] = deque()
        self.weather: Callable[[str], Script] = lambda person: (
            Script()
        )  # what every send meets that nothing was scripted for
        self.answer_delay = 0.0  # seconds from a message's acceptance to the answer
        self._scripts: deque[Script] = deque()
        self._busy: dict[str, int] = {}
        self._mids = itertools.count(1)
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def person_wrote(
        self, person: str, at: datetime | None = None, platform: Platform = Platform.MESSENGER, name: str = ""
    ) -> Person:
        """The person wrote to the page: the window opens."""
        known = self.people.setdefault(person, Person(person, platform))
        known.platform, known.wrote_at, known.name = platform, at or self.clock.now(), name or known.name
        return known

    def wrote(
        self,
        person: str,
        text: str,
        mid: str,
        at: datetime | None = None,
        platform: Platform = Platform.MESSENGER,
        attachments: Sequence[dict[str, Any]] = (),
        from_page: bool = False,
    ) -> None:
        """A message that Meta remembers, whether a webhook told of it or not. `from_page`: typed in Meta's inbox."""
        at = at or self.clock.now()
        known = self.people.get(person)
        if not from_page and (known is None or known.wrote_at is None or known.wrote_at < at):
            self.person_wrote(person, at, platform, known.name if known else "")
        account = next(iter(self.accounts.values()))
        page = account.ig_id if platform is Platform.INSTAGRAM and account.ig_id else account.page_id
        self.threads.add(person, platform, page, Remembered(mid, text, at, from_page, attachments))

    def script(self, *scripts: Script) -> None:
        """Queue what the next sends meet."""
        self._scripts.extend(scripts)

    def script_readings(self, *scripts: Script) -> None:
        """Queue what the next calls of the Conversations API and of the subscription meet."""
        self._readings.extend(scripts)

    def app(self) -> web.Application:
        """The web application; any version may stand before the path."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        app.on_shutdown.append(self._shutdown)
        return app

    def reopen(self) -> None:
        """Serve again after a shutdown."""
        self._closing.clear()

    async def _shutdown(self, _app: web.Application) -> None:
        self._closing.set()
        for task in self._tasks:
            task.cancel()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = [part for part in request.path.split("/") if part]
        if path and path[0].startswith("v") and path[0][1:2].isdigit():
            path = path[1:]
        body = await _json(request)
        self.calls.append(Call(request.method, "/".join(path), dict(request.query), body, time.monotonic()))
        try:
            account = self._account(request, body, path)
            answer = await self._route(request, account, path, body)
        except Refused as refused:
            await self._sleep(self.latency)
            return _error(refused)
        return (
            answer if isinstance(answer, web.StreamResponse) else web.json_response(answer, headers=self.usage_headers)
        )

    def _account(self, request: web.Request, body: dict[str, Any], path: list[str]) -> GraphAccount:
        scheme, _, header = request.headers.get("Authorization", "").partition(" ")
        token = header if scheme.lower() in ("bearer", "oauth") else ""
        token = token or request.query.get("access_token") or str(body.get("access_token") or "")
        account = next((a for a in self.accounts.values() if a.token and hmac.compare_digest(a.token, token)), None)
        if account is None:
            raise Refused(190, None, "Invalid OAuth access token", 401)
        if account.app_secret:
            proof = hmac.new(account.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            given = request.query.get("appsecret_proof") or str(body.get("appsecret_proof") or "")
            if not hmac.compare_digest(proof, given):
                raise Refused(100, None, "Invalid appsecret_proof provided in the API argument")
        if path and path[0] in self.accounts and path[0] != account.page_id:
            raise Refused(200, None, "The token is another page's", 403)
        return account

    async def _route(self, request: web.Request, account: GraphAccount, path: list[str], body: dict[str, Any]) -> Any:
        own = (account.page_id, account.ig_id or account.page_id, "me")
        edge = path[1] if len(path) == 2 and path[0] in own else None
        if request.method == "POST" and edge == "messages":
            return await self._messages(request, account, body)
        await self._sleep(self.latency)
        if request.method == "GET" and path == ["debug_token"] and request.query.get("input_token"):
            return {"data": {"app_id": OWN_APP, "type": "PAGE", "is_valid": True, **self.token}}
        if edge and edge.endswith(("thread_control", "thread_owner")):
            return self._thread(edge, body or dict(request.query))
        if self._readings and path[0] != "me" and (edge is not None or request.method == "GET"):
            return self._scripted_reading(request)
        if edge == "subscribed_apps":
            return self._subscription(request.method, path[0], body or dict(request.query))
        if request.method == "GET" and (edge == "conversations" or path[0].startswith("t_")):
            return self._threads(path, dict(request.query))
        if request.method == "GET" and len(path) == 1:
            return self._node(account, path[0])
        raise Refused(100, None, f"Unknown path component: /{'/'.join(path)}", 404)

    # Messages

    async def _messages(self, request: web.Request, account: GraphAccount, body: dict[str, Any]) -> web.StreamResponse:
        recipient = body.get("recipient")
        person = str(recipient.get("id") or "") if isinstance(recipient, dict) else ""
        if not person:
            raise Refused(100, None, "(#100) Param recipient is required")
        if "sender_action" in body:
            if body["sender_action"] not in ACTIONS:
                raise Refused(100, None, "(#100) Param sender_action must be one of " + ", ".join(ACTIONS))
            self._known(person)
            if self.on_action is not None:
                self.on_action(person, body["sender_action"])
            await self._sleep(self.latency)
            return web.json_response({"recipient_id": person}, headers=self.usage_headers)
        script = self._scripted(person)
        overlapped = self._busy.get(person, 0) > 0
        self._busy[person] = self._busy.get(person, 0) + 1
        try:
            return await self._message(request, account, body, person, script, overlapped)
        finally:
            self._busy[person] -= 1

    async def _message(
        self,
        request: web.Request,
        account: GraphAccount,
        body: dict[str, Any],
        person: str,
        script: Script,
        overlapped: bool,
    ) -> web.StreamResponse:
        await self._sleep(self.latency if script.latency is None else script.latency)
        sent: Sent | None = None
        if script.mood is None or (script.accepted and script.mood is not Mood.ERROR):
            sent = self._accept(account, body, person, overlapped)
            await self._sleep(self.answer_delay)
        if script.mood is Mood.HANG:
            await self._closing.wait()
        if script.mood in (Mood.RESET, Mood.HANG):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if script.mood is Mood.GARBAGE:
            return web.Response(text="<html>upstream", status=200, headers=script.headers)
        if sent is None:
            return _scripted_error(script)
        return web.json_response(
            {"recipient_id": person, "message_id": sent.mid}, headers={**self.usage_headers, **script.headers}
        )

    def _scripted(self, person: str) -> Script:
        for index, script in enumerate(self._scripts):
            if script.person in (None, person):
                if script.times > 1:
                    self._scripts[index] = replace(script, times=script.times - 1)
                else:
                    del self._scripts[index]
                return script
        return self.weather(person)

    def _known(self, person: str) -> Person:
        known = self.people.get(person)
        if known is None:
            if self.strict:
                raise Refused(100, 2018001, "(#100) No matching user found")
            known = Person(person)
        if known.blocked:
            raise Refused(551, 1545041, "(#551) This person isn't available right now.")
        return known

    def _accept(self, account: GraphAccount, body: dict[str, Any], person: str, overlapped: bool) -> Sent:
        known = self._known(person)
        if known.owner:
            subcode = 2534037 if known.platform is Platform.INSTAGRAM else 2018300
            raise Refused(100, subcode, "(#100) Another app is controlling this thread now.")
        message = body.get("message")
        if not isinstance(message, dict):
            raise Refused(100, None, "(#100) Param message is required")
        text, template = _text_of(message), _template_of(message)
        _check_message(known.platform, message, message.get("text"))
        tag = self._check_window(known, body)
        sent = Sent(
            person,
            text or "",
            f"{self.mid_prefix}{next(self._mids):08d}",
            known.platform,
            message.get("metadata"),
            tuple(reply["title"] for reply in message.get("quick_replies", ())),
            tag,
            self.clock.now(),
            overlapped,
            tuple((button["title"], button["url"]) for button in template.get("buttons", ())),
        )
        self.sent.append(sent)
        own = account.ig_id if known.platform is Platform.INSTAGRAM and account.ig_id else account.page_id
        self.threads.add(person, known.platform, own, Remembered(sent.mid, _words(sent), sent.at, True))
        if self.on_sent is not None:
            self.on_sent(sent, message)
        if self.on_echo is not None:
            task = asyncio.create_task(self._echo(self.on_echo, account, sent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return sent

    def _check_window(self, person: Person, body: dict[str, Any]) -> str | None:
        kind, tag = body.get("messaging_type", "RESPONSE"), body.get("tag")
        if kind not in ("RESPONSE", "UPDATE", "MESSAGE_TAG") or (kind == "MESSAGE_TAG") != (tag is not None):
            raise Refused(100, None, "(#100) messaging_type and tag do not go together")
        if tag not in (None, "HUMAN_AGENT"):
            raise Refused(100, None, "(#100) Invalid tag")
        age = self.clock.now() - person.wrote_at if person.wrote_at else timedelta(0)
        if age > (limits.HUMAN_AGENT_WINDOW if tag else limits.WINDOW):
            subcode = 2534022 if person.platform is Platform.INSTAGRAM else 2018278
            raise Refused(10, subcode, "(#10) This message is sent outside of allowed window.")
        return tag

    async def _echo(self, callback: EchoCallback, account: GraphAccount, sent: Sent) -> None:
        await asyncio.sleep(self.echo_delay)
        await callback(self.echo_of(account, sent, OWN_APP))

    def echo_of(self, account: GraphAccount, sent: Sent, app_id: str | None) -> dict[str, Any]:
        """The webhook body of a message that the page sent."""
        instagram = sent.platform is Platform.INSTAGRAM
        own = account.ig_id if instagram and account.ig_id else account.page_id
        at = round(sent.at.timestamp() * 1000)
        message: dict[str, Any] = {"mid": sent.mid, "is_echo": True}
        if sent.links:
            message["attachments"] = [{"type": "template", "title": "", "url": None, "payload": _payload(sent)}]
        else:
            message["text"] = sent.text
        if app_id:
            message["app_id"] = int(app_id)
        if sent.metadata:
            message["metadata"] = sent.metadata
        item = {"sender": {"id": own}, "recipient": {"id": sent.person}, "timestamp": at, "message": message}
        return {
            "object": "instagram" if instagram else "page",
            "entry": [{"id": own, "time": at, "messaging": [item]}],
        }

    # The rest

    def _thread(self, edge: str, body: dict[str, Any]) -> dict[str, Any]:
        recipient = body.get("recipient")
        person = str(recipient.get("id") if isinstance(recipient, dict) else recipient or "")
        known = self._known(person)
        if edge == "thread_owner":
            return {"data": [{"thread_owner": {"app_id": known.owner or OWN_APP}}]}
        if edge == "pass_thread_control":
            target = str(body.get("target_app_id") or "")
            known.owner = None if target == OWN_APP else target or None
        elif edge in ("take_thread_control", "request_thread_control"):
            known.owner = None
        elif edge == "release_thread_control":
            known.owner = INBOX_APP[known.platform]
        self.people[person] = known
        return {"success": True}

    def _subscription(self, method: str, node: str, query: dict[str, Any]) -> dict[str, Any]:
        if method == "POST":
            fields = query.get("subscribed_fields") or ""
            self.subscribed[node] = [f for f in fields.split(",") if f] if isinstance(fields, str) else list(fields)
            return {"success": True}
        if method == "DELETE":
            self.subscribed[node] = []
            return {"success": True}
        fields = self.subscribed.get(node, list(FIELDS))
        return {"data": [{"id": OWN_APP, "name": "Planton", "subscribed_fields": fields}] if fields else []}

    def _threads(self, path: list[str], query: dict[str, str]) -> dict[str, Any]:
        try:
            if not path[0].startswith("t_"):
                return self.threads.list(query.get("platform", "messenger"), query)
            found = self.threads.messages(path[0], query) if path[1:] else self.threads.thread(path[0], query)
        except BadCursor:
            raise Refused(100, None, "(#100) Invalid cursor") from None
        if found is None:
            raise Refused(100, 33, "Unsupported get request")
        return found

    def _scripted_reading(self, request: web.Request) -> web.StreamResponse:
        script = self._readings[0]
        if script.times > 1:
            self._readings[0] = replace(script, times=script.times - 1)
        else:
            self._readings.popleft()
        if script.mood is Mood.RESET and request.transport is not None:
            request.transport.abort()
        return _scripted_error(script)

    def _node(self, account: GraphAccount, name: str) -> dict[str, Any]:
        if name in ("me", account.page_id):
            return {"id": account.page_id}
        found = self.threads.message(name)
        if found is not None:
            return found
        if name.startswith("m_"):
            raise Refused(100, 33, "Unsupported get request")
        known = self._known(name)
        if known.platform is Platform.INSTAGRAM:
            return {"id": name, "name": known.name or None, "username": f"u{name}", "profile_pic": None}
        first, _, last = known.name.partition(" ")
        return {"id": name, "first_name": first, "last_name": last} if first else {"id": name}

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)


def _template_of(message: dict[str, Any]) -> dict[str, Any]:
    """The payload of a button template, {} without one."""
    attachment = message.get("attachment")
    payload = attachment.get("payload") if isinstance(attachment, dict) else None
    return payload if isinstance(payload, dict) and payload.get("template_type") == "button" else {}


def _text_of(message: dict[str, Any]) -> str | None:
    text = message.get("text", _template_of(message).get("text"))
    return text if isinstance(text, str) else None


def _words(sent: Sent) -> str:
    """What Meta remembers: of a template nothing that it tells."""
    return "" if sent.links else sent.text


def _payload(sent: Sent) -> dict[str, Any]:
    buttons = [{"type": "web_url", "title": title, "url": url} for title, url in sent.links]
    return {"template_type": "button", "text": sent.text, "buttons": buttons}


def _check_template(attachment: object, bad: int | None) -> None:
    """Strict in what is taken: nothing but the button template, with buttons that open a page."""
    template = _template_of({"attachment": attachment})
    text, buttons = template.get("text"), template.get("buttons")
    if not isinstance(text, str) or not 0 < len(text) <= limits.TEMPLATE_TEXT:
        raise Refused(100, bad, "(#100) Bad text of the template")
    if not isinstance(buttons, list) or not 0 < len(buttons) <= limits.BUTTONS:
        raise Refused(100, bad, "(#100) A template holds 1 to 3 buttons")
    for button in buttons:
        title, url = str(button.get("title") or ""), str(button.get("url") or "")
        if button.get("type") != "web_url" or not 0 < len(title) <= limits.BUTTON_TITLE:
            raise Refused(100, bad, "(#100) Bad button title")
        if not url.startswith("https://"):
            raise Refused(100, bad, "(#100) Button URL must be https")


def _check_message(platform: Platform, message: dict[str, Any], text: object) -> None:
    bad = 2534025 if platform is Platform.INSTAGRAM else None
    if isinstance(text, str) == ("attachment" in message):
        raise Refused(100, bad, "(#100) The message must hold either text or an attachment")
    if "attachment" in message:
        _check_template(message["attachment"], bad)
    if isinstance(text, str) and not text:
        raise Refused(100, bad, "(#100) Param text must be a non-empty string")
    if isinstance(text, str):
        size = len(text.encode()) if platform is Platform.INSTAGRAM else len(text)
        if size > limits.text_limit(platform):
            raise Refused(100, bad, "(#100) Length of param message[text] must be less than or equal to the limit")
    if len(str(message.get("metadata") or "")) > limits.METADATA_CHARACTERS:
        raise Refused(100, bad, "(#100) Param metadata is too long")
    replies = message.get("quick_replies", [])
    if not isinstance(replies, list) or len(replies) > limits.QUICK_REPLIES:
        raise Refused(100, bad, "(#100) Too many quick replies")
    for reply in replies:
        title, payload = str(reply.get("title") or ""), str(reply.get("payload") or "")
        if reply.get("content_type") != "text" or not 0 < len(title) <= limits.QUICK_REPLY_TITLE:
            raise Refused(100, bad, "(#100) Bad quick reply title")
        if not 0 < len(payload) <= limits.QUICK_REPLY_PAYLOAD:
            raise Refused(100, bad, "(#100) Bad quick reply payload")


async def _json(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    try:
        data = json.loads(raw) if raw else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _error(refused: Refused, headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": refused.text, "type": "OAuthException", "code": refused.code, "fbtrace_id": "AsimulatedTrace"}
    if refused.subcode is not None:
        error["error_subcode"] = refused.subcode
    return web.json_response({"error": error}, status=refused.status, headers=headers)


def _scripted_error(script: Script) -> web.Response:
    if script.code is None:
        return web.Response(text="<html>error</html>", status=script.status, headers=script.headers)
    text = f"(#{script.code}) scripted"
    return _error(Refused(script.code, script.subcode, text, script.status), script.headers)


class GraphServer:
    """Serves a Graph on a loopback port; 0 picks a free one."""

    def __init__(self, graph: Graph, host: str = "127.0.0.1", port: int = 0) -> None:
        self.graph = graph
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, again: bool = False) -> str:
        """Listen; returns the address to use as Graph URL, version included. `again`: at the same port, after `stop`."""
        if again:
            self._port = int(self.url.rsplit(":", 1)[1].split("/")[0])
            self.graph.reopen()
        self._runner = web.AppRunner(self.graph.app(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self.url = f"http://{self._host}:{self._runner.addresses[0][1]}/v26.0"
        return self.url

    async def stop(self) -> None:
        """Stop listening and break what hangs."""
        if self._runner is not None:
            await self._runner.cleanup()


async def _serve(port: int, latency: float) -> None:
    server = GraphServer(Graph([GraphAccount("1", "token", "secret")], latency=latency), port=port)
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A Graph API that plays Meta: page 1, token « token ».")
    parser.add_argument("--port", type=int, default=8071)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.latency))
