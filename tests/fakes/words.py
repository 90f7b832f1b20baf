"""The sender's emergency texts, short and fixed; the rules are the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.core.emergency import Answer
from bot.policy import emergency
from bot.policy.emergency import Leaving

TEXTS = {
    emergency.URGENCE: "Appelez le 17.",
    emergency.DETRESSE: "Le 3114 vous écoute.",
    emergency.URGENCE_ANGLAIS: "Call 17.",
    emergency.DETRESSE_ANGLAIS: "Call 3114.",
    emergency.RETARD: "Si vous êtes toujours en danger :",
    emergency.NUIT: "Les agents lisent à partir de {heure}.",
    emergency.RAPPEL: "En danger, appelez le 17.",
    "utter_urgence_temoin": "Appelez pour cette personne.",
}


class FixedWords:
    """`bot.sender.ports.EmergencyWords`. `night_until`: it is always night until then, or never."""

    def __init__(self, texts: Mapping[str, str] | None = None, night_until: str | None = None) -> None:
        self.texts: Mapping[str, str] | None = TEXTS if texts is None else texts
        self.night_until = night_until

    async def leaving(self, said: str, answer: Answer | None, queued_at: datetime, now: datetime) -> Leaving:
        return emergency.leaving(self.texts, said, answer, queued_at, now, self.night_until)

    async def reply(self, answer: Answer, age: timedelta, now: datetime) -> str | None:
        return None if self.texts is None else emergency.reply(self.texts, answer, age, self.night_until)
