"""An OpenID Connect provider as a process of its own: `python -m tests.fakes.oidc_server PORT`.

The library oidc-provider-mock does the work (Authlib's server underneath). Added here: PKCE and the client's secret are
demanded, and a test may change the signing key (`POST /test/rotate`).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.fakes.ports import free_port

CLIENT, SECRET = "planton", "secret of the client"


def serve(port: int) -> None:
    """Answer until the process is ended."""
    import flask
    import oidc_provider_mock
    from authlib.oauth2.rfc7636 import create_s256_code_challenge
    from joserfc.jwk import RSAKey
    from werkzeug.serving import make_server

    app: Any = oidc_provider_mock.app(require_nonce=True)
    challenges: dict[str, str] = {}

    @app.after_request
    def remember(response: flask.Response) -> flask.Response:
        code = parse_qs(urlsplit(response.headers.get("Location", "")).query).get("code")
        if flask.request.path == "/oauth2/authorize" and code:
            assert flask.request.args["code_challenge_method"] == "S256"
            challenges[code[0]] = flask.request.args["code_challenge"]
        return response

    @app.before_request
    def demand() -> Any:
        if flask.request.path != "/oauth2/token":
            return None
        form, given = flask.request.form, flask.request.authorization
        right = create_s256_code_challenge(form.get("code_verifier", "")) == challenges.pop(form.get("code", ""), "")
        known = given is not None and (given.username, given.password) == (CLIENT, SECRET)
        return None if right and known else (flask.jsonify(error="invalid_grant"), 400)

    @app.post("/test/rotate")
    def rotate() -> Any:
        flask.g.oidc_provider_mock_storage.jwk = RSAKey.generate_key(2048, {"kid": flask.request.args["kid"]})
        return "", 204

    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


@dataclass
class OidcServer:
    """The process, as tests speak to it."""

    issuer: str

    async def user(self, subject: str, **claims: Any) -> None:
        """Someone whom the provider knows."""
        async with aiohttp.ClientSession() as client, client.put(f"{self.issuer}/users/{subject}", json=claims) as done:
            assert done.status == 204

    async def rotate(self, kid: str) -> None:
        """Sign with another key from now on."""
        async with aiohttp.ClientSession() as client, client.post(f"{self.issuer}/test/rotate?kid={kid}") as done:
            assert done.status == 204

    async def agree(self, address: str, subject: str, action: str = "") -> str:
        """Be that person at the provider's page and agree; the address that leads back."""
        assert address.startswith(self.issuer + "/oauth2/authorize?")
        form = {"sub": subject, "action": action}
        async with (
            aiohttp.ClientSession() as client,
            client.post(address, data=form, allow_redirects=False) as answer,
        ):
            assert answer.status == 302, await answer.text()
            return re.sub(r"^https?://[^/]+", "", answer.headers["Location"])


@contextlib.contextmanager
def running_oidc_server() -> Iterator[OidcServer]:
    """Start the process, and end it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.oidc_server", str(port)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield OidcServer(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1800):
        assert process.poll() is None, "the provider's process ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError("the provider does not answer")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
