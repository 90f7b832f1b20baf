"""What opens a page at Meta: its token and the application's secret, each of them twice while it is renewed.

All clients of a page share one `Access`, so that they go over to the other token together, in the middle of a call that
Meta refused for the first one: what is refused for its token surely did not leave.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

log = logging.getLogger("planton.meta")
_LOOK_AGAIN = 1.0  # seconds between two looks at the files


@dataclass(frozen=True)
class Pair:
    """A token with the secret that proves it. `place`: of the token, 1 for the first one given."""

    token: str = field(repr=False)
    secret: str = field(repr=False)
    place: int = 1

    @property
    def proof(self) -> str:
        """`appsecret_proof`, or nothing without a secret."""
        return hmac.new(self.secret.encode(), self.token.encode(), hashlib.sha256).hexdigest() if self.secret else ""


class Access:
    """`tokens`, `secrets`: the current ones first. `again` reads the tokens anew where they may have been replaced."""

    def __init__(
        self,
        page_id: str,
        tokens: Sequence[str],
        secrets: Sequence[str] = (),
        again: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self.page_id = page_id
        self._tokens = tuple(tokens)
        self._secrets = tuple(secrets) or ("",)
        self._again = again
        self._looked = -_LOOK_AGAIN
        self._token, self._secret = 0, 0
        self.refused: set[int] = set()  # places of tokens that Meta refused since they were read

    def __repr__(self) -> str:
        return f"Access(page_id={self.page_id!r})"

    @property
    def present(self) -> Pair:
        """What a call is made with now."""
        return Pair(self._tokens[self._token], self._secrets[self._secret], self._token + 1)

    @property
    def spares(self) -> int:
        """How many tokens there are beside the present one."""
        return len(self._tokens) - 1

    def token_refused(self, used: Pair, tried: Sequence[Pair]) -> bool:
        """Meta no longer takes this token: whether there is another one to try in this call."""
        if used.token == self._tokens[self._token] and self._token + 1 not in self.refused:
            self.refused.add(self._token + 1)
            log.warning("page %s: token %d is refused by Meta", self.page_id, self._token + 1)
        return self._use({one.token for one in tried}) or (
            self._read_again() and self._use({one.token for one in tried})
        )

    def proof_refused(self, tried: Sequence[Pair]) -> bool:
        """Meta no longer takes this proof: whether there is another secret to try in this call."""
        seen = {one.secret for one in tried}
        for index, secret in enumerate(self._secrets):
            if secret not in seen:
                self._secret = index
                log.warning("page %s: goes over to application secret %d", self.page_id, index + 1)
                return True
        return False

    def works(self, used: Pair) -> None:
        """Meta took it."""
        if used.token == self._tokens[self._token]:
            self.refused.discard(self._token + 1)

    def _use(self, seen: set[str]) -> bool:
        for index, token in enumerate(self._tokens):
            if token not in seen:
                if index != self._token:
                    log.warning("page %s: goes over to token %d", self.page_id, index + 1)
                self._token = index
                return True
        return False

    def _read_again(self) -> bool:
        """Whether other tokens stand in the file by now."""
        if self._again is None or time.monotonic() - self._looked < _LOOK_AGAIN:
            return False
        self._looked = time.monotonic()
        try:
            found = tuple(self._again())
        except Exception as error:  # a file that is being written, or that others can read: said by `planton doctor`
            log.error("page %s: the tokens cannot be read again (%s)", self.page_id, type(error).__name__)
            return False
        if not found or found == self._tokens:
            return False
        present = self._tokens[self._token]
        self._tokens, self.refused = found, set()
        self._token = found.index(present) if present in found else 0
        log.warning("page %s: new tokens were read", self.page_id)
        return True
