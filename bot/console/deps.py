"""What the console is built from; the caller wires it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.console.attachments_fetch import AttachmentRules
from bot.console.provider import ProviderConfig
from bot.console.question_counts import QuestionCounts, no_counts
from bot.core.clock import Clock, SystemClock
from bot.core.dialogue import Engine, QuickReply
from bot.policy.catalogue_search import CatalogueSearch
from bot.policy.retention import DEFAULT, Limits
from bot.store.codec import Codec
from bot.store.db import Database, Listener
from bot.trainer.project import Project
from bot.trainer.trial import Trial
from bot.trainer.wall import AUTO

# Filled from npm at installation; the pages keep working without it, plainer and with a reload instead of live parts.
PARIS = ZoneInfo("Europe/Paris")
VENDOR = Path(__file__).parents[1] / "web" / "vendor"


@dataclass(frozen=True)
class ConsoleDeps:
    """The console's ports and settings.

    `listener` listens on the channel CONSOLE; the console starts it if nobody has. `clock` tells the time of
    conversations (the sandbox may move it), `wall` that of sessions. `texts`: replies of domain.yml by name
    (utter_agent_arrive, utter_assistant_revient), `buttons` their quick replies. `demo` opens one-time log-in links.
    `attachments`: from where people's files are fetched.
    `url`: the console's public address, without a final slash; else the one that the browser asked. `provider`: where
    people may log in as well.
    `engine`: suggests replies to agents; without it there are none. `engine_ready`: whether it answers; `engine_notice`: for how
    long it must not before agents are told.
    `pace`: how many people a second a group's reply reaches.
    `var`: VAR_DIR, where the launcher says which engines serve.
    `project`: the folder that trainers work on; without it the workbench says that it is not here.
    `engine_wall`: ENGINE_WALL, what Rasa's look at the trainers' files runs behind.
    `trial`: a candidate model beside the one in service; without it there is no page for that.
    `dsfr`: where `make theme-dsfr` puts the State's theme; it is used if its terms were accepted.
    `older_key`: the SECRET_KEY before this one, during its rotation: what was signed with it stays good.
    `retention`: how long each class is kept, as the page shows it.
    `question_counts`: how often each question of the catalogue came; without it pages show no figures.
    `second`: whether a second person reads publications that change what victims and people in danger are told.
    `catalogue`: the questions of the model in service, asked anew at each use.
    `proxies`: how many trusted proxies stand before the console, each adding to X-Forwarded-For.
    """

    database: Database
    codec: Codec
    listener: Listener
    clock: Clock
    secret_key: str
    secure_cookies: bool
    texts: Mapping[str, str]
    demo: bool
    buttons: Mapping[str, Sequence[QuickReply]] = field(default_factory=dict)
    zone: ZoneInfo = PARIS
    wall: Clock = field(default_factory=SystemClock)
    vendor: Path = VENDOR
    proxies: int = 0
    pace: int = 20
    engine: Engine | None = None
    url: str | None = None
    provider: ProviderConfig | None = None
    attachments: AttachmentRules = field(default_factory=AttachmentRules)
    dsfr: Path | None = None
    project: Project | None = None
    var: Path | None = None
    trial: Trial | None = None
    engine_wall: str = AUTO
    retention: Limits = DEFAULT
    engine_ready: Callable[[], Awaitable[bool]] | None = None
    engine_notice: timedelta = timedelta(seconds=60)  # a restart takes half of it, and nobody needs to hear of that
    older_key: str = field(default="", repr=False)
    question_counts: QuestionCounts = no_counts
    second: bool = True
    catalogue: Callable[[], CatalogueSearch] = CatalogueSearch
