"""The identity provider (OpenID Connect Core 1.0, authorization code with PKCE): where to send the browser, and what
comes back.

Checked on the way back: `iss` of the answer (RFC 9207), the token's signature by a key that the provider publishes,
algorithm, issuer, audience, authorized party, times, nonce and access token hash. The caller keeps state, nonce and
verifier, and lets each be used once.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bot.core.clock import Clock
from bot.core.errors import Explained

KEEP = 3600.0  # seconds that what the provider publishes is kept
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
LEEWAY = 60  # seconds between the clocks of two machines
_LARGEST = 512 * 1024
# Signatures with a published key; never « none », never a shared secret.
_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)


class ProviderError(Explained):
    """The log-in through the provider did not come about."""


class ProviderAway(ProviderError):
    """The provider does not answer, or not as OpenID Connect wants it. `detail`, for the log, never holds a token."""

    what_happened = "Le fournisseur d’identité ne répond pas comme prévu."

    def __init__(self, detail: str) -> None:
        super().__init__(
            self.what_happened,
            "Réessayez dans un instant, ou connectez-vous avec votre mot de passe si vous en avez un.",
        )
        self.detail = detail


class ProviderUntrue(ProviderAway):
    """What came back does not stand up to the checks."""

    what_happened = "La réponse du fournisseur d’identité n’a pas pu être vérifiée."


@dataclass(frozen=True)
class ProviderConfig:
    """What the site knows of its provider. `client_secret` None: a public client (PKCE alone).

    `factor_acr`, `factor_amr`: values of the claims that count as a second factor. `new_role`: the role of whoever has
    no account yet; None: nobody is let in without.
    """

    issuer: str
    client_id: str
    client_secret: str | None
    name: str
    scopes: str = "openid profile email"
    factor_acr: frozenset[str] = frozenset()
    factor_amr: frozenset[str] = frozenset()
    new_role: str | None = None


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and what to remember until it is back."""

    address: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Identity:
    """Whom the provider vouches for. `email`: only one that it has verified. `factor`: it asked for a second factor."""

    issuer: str
    subject: str
    name: str
    email: str | None
    factor: bool


class Provider:
    """One provider. What it publishes is kept for an hour; a token that no known key signed has the keys fetched anew."""

    def __init__(self, config: ProviderConfig, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self._metadata: tuple[float, Mapping[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._lock = asyncio.Lock()

    # -- out -----------------------------------------------------------------------------------------------------

    async def depart(self, redirect_uri: str) -> Departure:
        """Begin a log-in. Raises ProviderAway."""
        metadata = await self._published()
        state, nonce, verifier = (secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        address = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self.config.client_id,
            "code",
            redirect_uri,
            self.config.scopes,
            state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            acr_values=" ".join(sorted(self.config.factor_acr)) or None,
        )
        return Departure(str(address), state, nonce, verifier)

    async def log_out_address(self, back: str) -> str | None:
        """Where one ends the session at the provider as well, if it has such a page."""
        try:
            page = (await self._published()).get("end_session_endpoint")
        except ProviderAway:
            return None
        if not _is_web(page):
            return None
        query = {"client_id": self.config.client_id, "post_logout_redirect_uri": back}
        return str(add_params_to_uri(str(page), list(query.items())))

    # -- back ----------------------------------------------------------------------------------------------------

    async def arrive(self, given: Mapping[str, str], nonce: str, verifier: str, redirect_uri: str) -> Identity:
        """Whom the answer (the parameters of the address) is about. Raises ProviderError, ProviderAway."""
        if given.get("iss", self.config.issuer) != self.config.issuer:
            raise ProviderUntrue("answer of another issuer")
        if given.get("error") == "access_denied":
            raise ProviderError(
                "La connexion a été refusée ou abandonnée chez le fournisseur.", "Recommencez si besoin."
            )
        if given.get("error") or not given.get("code"):
            raise ProviderAway("authorization: " + re.sub(r"[^a-z_ ]", "", given.get("error", "no code")[:40]))
        tokens = await self._exchange(given["code"], verifier, redirect_uri)
        claims = await self._claims(tokens, nonce)
        return self._identity(claims)

    async def _exchange(self, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        metadata = await self._published()
        endpoint = metadata["token_endpoint"]
        body = prepare_token_request("authorization_code", "", redirect_uri, code=code, code_verifier=verifier)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        auth = ClientAuth(self.config.client_id, self.config.client_secret, self._method(metadata))
        address, headers, body = auth.prepare("POST", endpoint, headers, body)
        tokens = await self._ask("token", "POST", address, headers, body)
        if not isinstance(tokens.get("id_token"), str):
            raise ProviderAway("token: no id_token")
        return tokens

    def _method(self, metadata: Mapping[str, Any]) -> str:
        if self.config.client_secret is None:
            return "none"
        offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return "client_secret_post" if "client_secret_basic" not in offered else "client_secret_basic"

    async def _claims(self, tokens: Mapping[str, Any], nonce: str) -> CodeIDToken:
        metadata, decoded = await self._published(), None
        offered = set(metadata.get("id_token_signing_alg_values_supported") or ["RS256"])
        allowed = sorted(_ALGORITHMS & offered)
        for again in (False, True):
            keys = await self._published_keys(again)
            try:
                decoded = jwt.decode(tokens["id_token"], keys, algorithms=allowed)
                break
            except (JoseError, ValueError) as error:
                # The provider may have changed its keys: they are fetched anew before the token is given up.
                if again:
                    raise ProviderUntrue(f"token not readable: {type(error).__name__}") from None
        assert decoded is not None
        options = {
            "iss": {"essential": True, "value": self.config.issuer},
            "aud": {"essential": True, "value": self.config.client_id},
        }
        params = {"nonce": nonce, "client_id": self.config.client_id, "access_token": tokens.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, options, params)
        try:
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY)
        except (JoseError, ValueError) as error:
            raise ProviderUntrue(f"claim: {type(error).__name__} {getattr(error, 'claim', '')}") from None
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise ProviderUntrue("claim: sub")
        email = claims.get("email") if claims.get("email_verified") is True else None
        amr = {str(one) for one in claims.get("amr") or ()}
        factor = claims.get("acr") in self.config.factor_acr or bool(amr & self.config.factor_amr)
        name = str(claims.get("name") or claims.get("preferred_username") or "")
        return Identity(self.config.issuer, subject, name, email if isinstance(email, str) else None, factor)

    # -- what the provider publishes -----------------------------------------------------------------------------

    async def check(self) -> None:
        """Whether the provider answers as it should; for the doctor. Raises ProviderAway."""
        await self._published()
        await self._published_keys(again=True)

    async def _published(self) -> Mapping[str, Any]:
        now = asyncio.get_running_loop().time()
        if self._metadata is None or now - self._metadata[0] > KEEP:
            address = get_well_known_url(self.config.issuer, external=True)
            found = await self._ask("discovery", "GET", address)
            if found.get("issuer") != self.config.issuer:
                raise ProviderAway("discovery: another issuer")
            metadata = OpenIDProviderMetadata(found)
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not _is_web(metadata.get(name)):
                    raise ProviderAway(f"discovery: {name}")
            self._metadata = (now, metadata)
        return self._metadata[1]

    async def _published_keys(self, again: bool) -> KeySet:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if again or self._keys is None or now - self._keys[0] > KEEP:
                found = await self._ask("keys", "GET", (await self._published())["jwks_uri"])
                try:
                    self._keys = (now, KeySet.import_key_set(_signing(found)))
                except (JoseError, ValueError, KeyError, TypeError) as error:
                    raise ProviderAway(f"keys: {type(error).__name__}") from None
            return self._keys[1]

    async def _ask(
        self, step: str, method: str, address: str, headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Mapping[str, Any]:
        """A JSON object from the provider; no redirection is followed. Raises ProviderAway."""
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as client,
                client.request(method, address, headers=headers, data=body, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise ProviderAway(f"{step}: status {answer.status}")
                found = json.loads(await _read(answer, step))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ProviderAway(f"{step}: {type(error).__name__}") from None
        if not isinstance(found, dict):
            raise ProviderAway(f"{step}: no object")
        return found


async def _read(answer: aiohttp.ClientResponse, step: str) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(65536):
        body += chunk
        if len(body) > _LARGEST:
            raise ProviderAway(f"{step}: too long")
    return bytes(body)


def _signing(found: Mapping[str, Any]) -> Any:
    """The keys that sign: one for encryption must not verify anything, one of an unknown kind must not spoil the rest."""
    known = [k for k in found["keys"] if k.get("use", "sig") == "sig" and k.get("kty") in ("RSA", "EC", "OKP")]
    return {"keys": known}


def _is_web(address: object) -> bool:
    """https, or http on this machine."""
    if not isinstance(address, str):
        return False
    parts = urlsplit(address)
    near = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and near))
