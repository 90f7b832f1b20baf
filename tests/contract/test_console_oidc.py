"""Log-in through an identity provider: a real OpenID Connect server in a process of its own; then answers that lie."""

from __future__ import annotations

import html
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from bot.console.provider import Provider, ProviderAway, ProviderConfig, ProviderError, ProviderUntrue
from bot.core.clock import FrozenClock, SystemClock
from bot.store import throttle
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import PASSWORD, Answer, Browser, RunningConsole, running_console
from tests.fakes.oidc_server import CLIENT, SECRET, OidcServer, running_oidc_server

BACK = "/connexion/fournisseur/retour"


@pytest.fixture(scope="module")
def server() -> Iterator[OidcServer]:
    """The provider's process, for all tests here."""
    with running_oidc_server() as running:
        yield running


@pytest.fixture
def config(server: OidcServer) -> ProviderConfig:
    """What the site knows of it."""
    return ProviderConfig(server.issuer, CLIENT, SECRET, "Portail agents", factor_amr=frozenset({"mfa"}))


@asynccontextmanager
async def consoles(
    database: Database, url: str, codec: Codec, clock: FrozenClock, config: ProviderConfig, **changes: Any
) -> AsyncIterator[RunningConsole]:
    """A console with that provider; the provider's clock is the machine's."""
    wall = SystemClock()
    async with running_console(database, url, codec, clock, wall, provider=config, **changes) as console:
        yield console


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, config: ProviderConfig
) -> AsyncIterator[RunningConsole]:
    async with consoles(database, database_url, codec, frozen_clock, config) as running:
        yield running


async def out(browser: Browser, query: str = "") -> str:
    """Press the button; the address at the provider."""
    answer = await browser.get("/connexion/fournisseur" + query, follow=False)
    assert answer.status == 303, answer.page
    return str(answer.headers["Location"])


async def through(browser: Browser, server: OidcServer, subject: str, query: str = "") -> Answer:
    """All the way; the answer to the way back."""
    return await browser.get(await server.agree(await out(browser, query), subject), follow=False)


async def has_email(console: RunningConsole, name: str, email: str) -> None:
    await console.execute("UPDATE users SET email = :email WHERE name = :name", email=email, name=name)


# -- the story ------------------------------------------------------------------------------------------------------


async def test_a_first_log_in_is_bound_by_verified_e_mail_and_holds_whatever_the_provider_changes(
    console: RunningConsole, someone: Browser, server: OidcServer
) -> None:
    user = await console.user("Claire Martin")
    await has_email(console, "Claire Martin", "claire@exemple.fr")
    await server.user("s-1", email="Claire@exemple.fr", email_verified=True, name="C. Martin")
    page = await someone.get("/connexion?suite=/aide")
    assert "Se connecter avec Portail agents" in page.page
    entered = await through(someone, server, "s-1", "?suite=/aide")
    assert (entered.status, entered.headers["Location"]) == (303, "/aide")
    assert "Claire Martin" in (await someone.get("/file")).page

    await server.rotate("second-key")
    await server.user("s-1", email="tout@autre.fr", email_verified=True)
    async with Browser(console) as again:
        assert (await through(again, server, "s-1")).headers["Location"] == "/file"
    rows = await console.rows("SELECT issuer, subject, user_id FROM oidc_identities")
    assert [tuple(row) for row in rows] == [(server.issuer, "s-1", user.id)]
    assert await console.audit() == [("identity_linked", None), ("login", None), ("login", None)]

    csrf = (await someone.get("/file")).hidden("csrf")
    gone = await someone.post("/deconnexion", csrf=csrf)
    assert gone.headers["Location"] == "/connexion?sorti=1"
    page = await someone.get("/connexion?sorti=1")
    assert "Se déconnecter aussi de Portail agents" in page.page
    assert f'href="{server.issuer}/oauth2/end_session?client_id=planton&amp;' in page.page

    await console.execute("UPDATE users SET disabled_at = now()")
    refused = await through(someone, server, "s-1")
    assert (refused.status, "Votre compte est désactivé" in refused.page) == (403, True)


async def test_nobody_comes_in_who_has_no_account(
    console: RunningConsole, someone: Browser, server: OidcServer
) -> None:
    await console.user("Claire")
    await has_email(console, "Claire", "claire@exemple.fr")
    await server.user("unverified", email="claire@exemple.fr", email_verified=False)
    await server.user("silent", email="claire@exemple.fr")
    await server.user("stranger", email="autre@exemple.fr", email_verified=True)
    for subject in ("unverified", "silent", "stranger"):
        refused = await through(someone, server, subject)
        assert (refused.status, "Aucun compte ne correspond" in refused.page) == (403, True), subject
        assert (await someone.get("/file")).path.startswith("/connexion")
    await server.user("first", email="claire@exemple.fr", email_verified=True)
    await server.user("second", email="claire@exemple.fr", email_verified=True)
    assert (await through(someone, server, "first")).status == 303
    async with Browser(console) as other:  # the account is taken, whatever e-mail another identity gets later
        refused = await through(other, server, "second")
        assert (refused.status, "déjà rattaché à une autre identité" in refused.page) == (403, True)
    assert [a for a, _ in await console.audit()].count("login_refused") == 4


async def test_an_invitation_binds_whoever_follows_it(
    console: RunningConsole, someone: Browser, server: OidcServer
) -> None:
    async with Browser(console) as alix:
        await console.user("Alix", "administrator")
        await alix.log_in("Alix")
        page = await alix.get("/comptes/nouveau")
        fields = {"csrf": page.hidden("csrf"), "nom": "Zoé", "role": "agent", "acces": "lien"}
        made = await alix.post("/comptes/nouveau", **fields)
    token = re.search(r"jeton=([^\"]+)\"", made.page)
    assert token is not None
    invited = await someone.get(f"/connexion/invitation?jeton={token[1]}")
    assert f'href="/connexion/fournisseur?jeton={token[1]}"' in html.unescape(invited.page)
    await server.user("zoe", name="Z.")
    assert (await through(someone, server, "zoe", f"?jeton={token[1]}")).headers["Location"] == "/file"
    assert "Zoé" in (await someone.get("/file")).page
    await server.user("thief")
    async with Browser(console) as thief:
        refused = await through(thief, server, "thief", f"?jeton={token[1]}")
        assert (refused.status, "a déjà servi" in refused.page) == (403, True)


async def test_the_answer_counts_once_and_in_the_browser_where_it_began(
    console: RunningConsole, someone: Browser, server: OidcServer
) -> None:
    await console.user("Claire")
    await has_email(console, "Claire", "claire@exemple.fr")
    await server.user("s-3", email="claire@exemple.fr", email_verified=True)
    async with Browser(console) as other:
        back = await server.agree(await out(other), "s-3")
        stolen = await someone.get(back, follow=False)  # an attacker's link, to log the victim in as someone else
        assert (stolen.status, "a commencé dans un autre navigateur" in stolen.page) == (403, True)
        assert (await other.get(back, follow=False)).status == 403  # spent by the attempt
    back = await server.agree(await out(someone), "s-3")
    assert (await someone.get(back, follow=False)).status == 303
    assert (await someone.get(back, follow=False)).status == 403
    for nothing in ("", "?state=x&code=y", "?code=y", "?error=access_denied"):
        assert (await someone.get(BACK + nothing, follow=False)).status == 403
    denied = await someone.get(await server.agree(await out(someone), "s-3", "deny"), follow=False)
    assert (denied.status, "refusée ou abandonnée" in denied.page) == (403, True)
    assert await console.rows("SELECT 1 FROM oidc_logins") == []


async def test_the_way_to_the_provider_is_limited_and_who_comes_in_does_not_count(
    console: RunningConsole, someone: Browser, server: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(throttle._LIMITS, "journey", 6)
    await console.user("Claire")
    await has_email(console, "Claire", "claire@exemple.fr")
    await server.user("s-4", email="claire@exemple.fr", email_verified=True)
    for _ in range(4):
        assert (await through(someone, server, "s-4")).status == 303
    assert await console.rows("SELECT 1 FROM login_failures") == []
    for _ in range(3):
        await out(someone)
        assert (await someone.get(BACK + "?state=x&code=y", follow=False)).status == 403
    kept = await console.rows("SELECT count(*) AS n FROM oidc_logins")
    for address in ("/connexion/fournisseur", BACK + "?state=x&code=y"):
        shut = await someone.get(address, follow=False)
        assert (shut.status, "Trop d’essais manqués" in shut.page) == (429, True)
        assert 1 <= int(shut.headers["Retry-After"]) <= 901
    assert await console.rows("SELECT count(*) AS n FROM oidc_logins") == kept
    async with Browser(console) as other:  # the password has its own count
        assert (await other.log_in("Claire")).headers["Location"] == "/file"


async def test_the_provider_s_second_factor_counts_if_the_site_says_so(
    console: RunningConsole, someone: Browser, server: OidcServer
) -> None:
    await console.user("Denis", "validator")
    await has_email(console, "Denis", "denis@exemple.fr")
    await server.user("denis", email="denis@exemple.fr", email_verified=True, amr=["pwd"])
    assert (await through(someone, server, "denis")).headers["Location"] == "/connexion/second-facteur"
    await server.user("denis", email="denis@exemple.fr", email_verified=True, amr=["pwd", "mfa"])
    assert (await through(someone, server, "denis")).headers["Location"] == "/file"


async def test_a_site_may_let_everybody_in_as_agents(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, config: ProviderConfig,
    server: OidcServer,
) -> None:  # fmt: skip
    await server.user("new", name="Noé Petit", email="noe@exemple.fr", email_verified=True)
    open_house = replace(config, new_role="agent")
    async with (
        consoles(database, database_url, codec, frozen_clock, open_house) as console,
        Browser(console) as someone,
    ):
        assert (await through(someone, server, "new")).status == 303
        rows = await console.rows("SELECT name, role, email, password_hash FROM users")
    assert [tuple(row) for row in rows] == [("Noé Petit", "agent", "noe@exemple.fr", None)]


async def test_without_the_provider_passwords_still_open(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, config: ProviderConfig
) -> None:
    dead = replace(config, issuer="http://127.0.0.1:9")
    async with consoles(database, database_url, codec, frozen_clock, dead) as console, Browser(console) as someone:
        await console.user("Claire")
        page = await someone.get("/connexion/fournisseur")
        assert (page.status, "Le fournisseur d’identité ne répond pas" in page.page) == (502, True)
        assert (await someone.log_in("Claire", PASSWORD)).status == 303


# -- answers that lie ------------------------------------------------------------------------------------------------


@dataclass
class Liar:
    """A provider of our own, whose token a test writes."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    published: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    keys_fetched: int = 0
    issuer: str = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/keys", self.keys)
        app.router.add_post("/token", self.give)
        return app

    async def discovery(self, request: web.Request) -> web.Response:
        published = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
        }
        return web.json_response(published | self.published)

    async def keys(self, request: web.Request) -> web.Response:
        self.keys_fetched += 1
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def give(self, request: web.Request) -> web.Response:
        self.asked.append({**{k: str(v) for k, v in (await request.post()).items()}, **request.headers})
        return web.json_response({"access_token": "a", "token_type": "Bearer", "id_token": self.token})

    def sign(self, key: Any = None, alg: str = "RS256", **claims: Any) -> None:
        now = int(time.time())
        told = {"iss": self.issuer, "sub": "s", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": "n", **claims}
        told = {name: value for name, value in told.items() if value is not None}
        self.token = jwt.encode({"alg": alg, "kid": self.key.kid}, told, key or self.key, algorithms=[alg])


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    lying = Liar()
    async with TestServer(lying.app()) as running:
        lying.issuer = str(running.make_url("")).rstrip("/")
        yield lying


def provider(liar: Liar, **changes: Any) -> Provider:
    return Provider(replace(ProviderConfig(liar.issuer, CLIENT, SECRET, "X"), **changes), SystemClock())


async def arrive(liar: Liar, one: Provider | None = None, **given: str) -> Any:
    return await (one or provider(liar)).arrive({"code": "c", **given}, "n", "v", "http://127.0.0.1/retour")


async def test_an_honest_token_is_taken(liar: Liar) -> None:
    liar.sign(email="a@b.fr", email_verified=True, name="A")
    identity = await arrive(liar, iss=liar.issuer)
    assert (identity.subject, identity.email, identity.factor) == ("s", "a@b.fr", False)
    assert liar.asked[0]["code_verifier"] == "v"
    assert liar.asked[0]["Authorization"].startswith("Basic ")
    liar.sign(email="a@b.fr", email_verified="true")  # not what the standard says: not verified
    assert (await arrive(liar)).email is None
    liar.sign(aud=[CLIENT], acr="high")
    assert (await arrive(liar, provider(liar, factor_acr=frozenset({"high"})))).factor


async def test_tokens_that_lie_are_refused(liar: Liar) -> None:
    now = int(time.time())
    for claims in (
        {"iss": "https://autre.exemple"},
        {"aud": "another client"},
        {"aud": [CLIENT, "another client"]},  # several audiences and no authorized party
        {"azp": "another client"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": now - 3600},
        {"exp": None},
        {"iat": None},
        {"nbf": now + 3600},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 300},
    ):
        liar.sign(**claims)
        with pytest.raises(ProviderUntrue):
            await arrive(liar)
    liar.sign(RSAKey.generate_key(2048, {"kid": "k1"}))  # not the published key
    with pytest.raises(ProviderUntrue):
        await arrive(liar)
    liar.sign(OctKey.import_key(SECRET * 2), "HS256")  # the client's secret, which an honest provider would not use
    with pytest.raises(ProviderUntrue):
        await arrive(liar)
    liar.sign()
    liar.token = "eyJhbGciOiJub25lIn0." + liar.token.split(".")[1] + "."  # signed by nobody
    with pytest.raises(ProviderUntrue):
        await arrive(liar)
    with pytest.raises(ProviderUntrue, match="vérifiée"):
        await arrive(liar, iss="https://autre.exemple")
    with pytest.raises(ProviderError, match="abandonnée"):
        await arrive(liar, error="access_denied")
    with pytest.raises(ProviderAway):
        await arrive(liar, error="server_error")


async def test_keys_are_kept_and_fetched_anew_when_one_is_unknown(liar: Liar) -> None:
    one = provider(liar)
    for _ in range(3):
        liar.sign()
        await arrive(liar, one)
    assert liar.keys_fetched == 1
    liar.key = RSAKey.generate_key(2048, {"kid": "k2"})
    liar.sign()
    await arrive(liar, one)
    assert liar.keys_fetched == 2


async def test_a_provider_that_publishes_nonsense(liar: Liar) -> None:
    for published in (
        {"issuer": "https://autre.exemple"},
        {"authorization_endpoint": "http://exemple.fr/authorize"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
    ):
        liar.published = published
        with pytest.raises(ProviderAway):
            await provider(liar).depart("http://127.0.0.1/retour")
    liar.published = {"end_session_endpoint": "javascript:alert(1)"}
    assert await provider(liar).log_out_address("http://127.0.0.1/") is None
    liar.published = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    liar.sign()
    await arrive(liar)
    assert (liar.asked[-1]["client_id"], liar.asked[-1]["client_secret"]) == (CLIENT, SECRET)
    await arrive(liar, provider(liar, client_secret=None))
    assert "client_secret" not in liar.asked[-1]
    departure = await provider(liar, factor_acr=frozenset({"high"})).depart("http://127.0.0.1/retour")
    asked = parse_qs(urlsplit(departure.address).query)
    assert (asked["acr_values"], asked["code_challenge_method"]) == (["high"], ["S256"])
