"""When each account's token ends and what it may do: asked of Meta, noted for whoever has no token."""

from __future__ import annotations

from bot.core.clock import Clock
from bot.core.errors import SendError
from bot.meta import token
from bot.meta.limits import Verdict
from bot.meta.send_api import GraphError, SendApi
from bot.sender.deps import SenderAccount
from bot.store import meta_tokens
from bot.store.db import Database


class Tokens:
    """`look` asks about one account. The page's row tells the token's end; its Instagram account has the same token."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    async def look(self, account: SenderAccount, api: SendApi) -> None:
        """Ask and note. No answer at all leaves what is known. Raises what the database raises."""
        page = account.id == account.page_id
        try:
            found = await token.state(api, token.MESSENGER if page else token.INSTAGRAM)
        except GraphError as error:
            if error.row.verdict in (Verdict.RETRY, Verdict.RATE):
                return
            found = token.TokenState(False) if error.row.slug == "token" else None
        except SendError:
            return
        async with self._db.begin() as connection:
            if found is None:
                await meta_tokens.forget(connection, account.id)
            elif page:
                await meta_tokens.note(
                    connection,
                    account.id,
                    self._clock.now(),
                    found.valid,
                    found.expires_at,
                    found.data_expires_at,
                    found.missing,
                )
            else:
                await meta_tokens.note(connection, account.id, self._clock.now(), True, missing=found.missing)
