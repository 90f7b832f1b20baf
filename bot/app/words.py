"""The emergency texts as the sender holds them: read beside its work, so that nothing waits for them that needs them not.

A sender that begins sends at once; only a reply whose words must change, or that has no words yet, waits for the first reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from bot.app import policy as policies
from bot.app.places import PROJECT
from bot.core import program
from bot.core.emergency import Answer
from bot.core.errors import Explained, SetupError
from bot.dialogue.texts import load
from bot.policy import emergency
from bot.policy.emergency import Leaving
from bot.policy.night import Night, hour_text
from bot.settings import Settings
from bot.trainer.candidates import Model

log = logging.getLogger("planton.reload")
BEGIN = 3.0  # seconds after its start in which a sender has better to do: half a second of work, which its first sends would share
PATIENCE = 10.0  # seconds that a reply waits for texts that are being read


def read(domain: Path) -> dict[str, str]:
    """The emergency texts of a domain. Raises SetupError."""
    found = load(domain)
    texts = {key: found[key] for key in emergency.TEXT_KEYS if key in found}
    try:
        emergency.check_texts(texts)
    except ValueError as error:
        raise SetupError(f"{domain} : {error}.", "Corrigez ces réponses.") from None
    return texts


class EmergencyTexts:
    """The texts that go with the model in service; failing that the project's, and at last those of the program itself.

    Keeps the rules of `bot.sender.ports.EmergencyWords`, and follows publications (`bot.app.reload.following`).
    """

    def __init__(self, settings: Settings, load_: Callable[[Path], Mapping[str, str]] = read) -> None:
        """`load_`: as `read`. Raises SettingsError when the night is wrong."""
        self._settings, self._load = settings, load_
        self._night = Night(settings.zone, settings.wall("NIGHT_START"), settings.wall("NIGHT_END"))
        self._texts: Mapping[str, str] | None = None
        self._wanted, self._read = asyncio.Event(), asyncio.Event()
        self.model = self.fault = ""

    def in_service(self) -> Model | None:
        """The model that answers now."""
        return policies.in_service(self._settings.engines_dir)

    async def begin(self, within: float = BEGIN) -> None:
        """Read for the first time: when a reply needs it, at the latest after `within` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), within)
        await self.reload()

    async def reload(self) -> None:
        """Read in a thread; keep what we have when nothing can be read."""
        try:
            self.model, self._texts, self.fault = await asyncio.to_thread(self._fresh)
        except Exception as error:  # whatever it is, what is worded already goes on leaving
            self.fault = f"Les textes d’urgence ne se lisent pas ({type(error).__name__})."
        finally:
            self._read.set()
        if self.fault:
            log.error("emergency texts not read: %s", self.fault)

    def _fresh(self) -> tuple[str, Mapping[str, str] | None, str]:
        model = self.in_service()
        folders = [*([model.files] if model else []), PROJECT, program.ROOT]
        fault, kept = "", self._texts
        for folder in dict.fromkeys(folders):
            try:
                return "" if model is None else model.hash, self._load(folder / "domain.yml"), fault
            except Explained as error:
                fault = fault or f"{error.what} {error.remedy}".strip()
                if kept is not None:  # better than an older version of the files
                    break
        return self.model, kept, f"{fault} L’ancienne version y reste en usage."

    async def _known(self) -> Mapping[str, str] | None:
        self._wanted.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._read.wait(), PATIENCE)
        return self._texts

    def _night_until(self, now: datetime) -> str | None:
        return hour_text(self._night.end) if self._night.contains(now) else None

    async def leaving(self, said: str, answer: Answer | None, queued_at: datetime, now: datetime) -> Leaving:
        """What an emergency reply says when it leaves now."""
        night = self._night_until(now)
        if emergency.stands(answer, queued_at, now, night):
            return Leaving(said, answer)
        return emergency.leaving(await self._known(), said, answer, queued_at, now, night)

    async def reply(self, answer: Answer, age: timedelta, now: datetime) -> str | None:
        """The emergency reply to a message of this age; None when it is too old, or no texts can be read."""
        texts = await self._known()
        return None if texts is None else emergency.reply(texts, answer, age, self._night_until(now))
