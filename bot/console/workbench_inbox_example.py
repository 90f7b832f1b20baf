"""A citizen's message on its way to become an example: pseudonymised, compared with what stands there, checked.

Everything here blocks (files, spaCy): views call it in a thread. Nothing raw leaves it: what is put into `data/` is the text
that a trainer saw and confirmed, and it is looked through once more before it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.console.workbench_pseudonyms import Personal, unconfirmed
from bot.core.examples import without_marks
from bot.trainer.checks.all import check_example
from bot.trainer.checks.context import Context
from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import LONGEST, Corpus, Example, entity_names, must_be_short, tidy
from bot.trainer.errors import TrainerError
from bot.trainer.guide import definitions
from bot.trainer.neighbours import Near
from bot.trainer.project import Project
from bot.trainer.pseudonyms import Pseudonymised, Replacement, pseudonymiser

NEAREST = 6
Findings = Mapping[str, Sequence[Finding]]


@dataclass(frozen=True)
class Draft:
    """A message as an example. `doubles`: intent → an example of it that says nearly the same; `findings`: by intent that is
    offered; `personal`: what may be personal in a text that a trainer has written."""

    text: str
    pseudonymised: Pseudonymised | None = None
    near: Sequence[Near[Example]] = ()
    doubles: Mapping[str, str] = field(default_factory=dict)
    findings: Findings = field(default_factory=dict)
    entities: Sequence[str] = ()
    personal: Sequence[Replacement] = ()


@dataclass(frozen=True)
class Intent:
    """An intent to choose. `definition`: the guide's sentence, "" where it has none."""

    name: str
    definition: str


class Refused(TrainerError):
    """The checks found what keeps it from being an example."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__(first.what, first.remedy)
        self.findings = findings


class Doubtful(TrainerError):
    """The checks warn of something that the page had not shown: the trainer decides again, knowing it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__(first.what, f"{first.remedy} Ou confirmez de nouveau, si c’est bien ce que vous voulez.")
        self.findings = findings


class Bench:
    """The project's files as the inbox uses them."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def warm(self) -> None:
        """Read and load what the first message would otherwise wait for."""
        self.draft("bonjour", ())

    def intents(self) -> list[Intent]:
        """Every intent that has examples, in the order of the file. Raises BadFile."""
        told = definitions(self._project)
        return [Intent(name, told.get(name, "")) for name in Corpus.read(self._project).intents]

    def draft(self, words: str, intents: Collection[str]) -> Draft:
        """What a message would become, and what speaks against it in each of these intents. Raises BadFile."""
        seen = pseudonymiser().replace(tidy(words))
        return self._draft(seen.text, intents, seen)

    def redraft(self, marked: str, intents: Collection[str]) -> Draft:
        """The same for what a trainer has written; of what is too long, the text alone. Raises BadFile."""
        if len(marked) > LONGEST:
            return Draft(marked, entities=sorted(entity_names(self._project)))
        return self._draft(tidy(marked), intents, None)

    def _draft(self, marked: str, intents: Collection[str], seen: Pseudonymised | None) -> Draft:
        context = Context.of(self._project)
        plain = without_marks(marked)
        doubles: dict[str, str] = {}
        for example in context.neighbours.doubles(plain):
            doubles.setdefault(example.intent, example.text)
        return Draft(
            marked,
            seen,
            context.neighbours.near(plain, NEAREST),
            doubles,
            {name: check_example(context, name, marked) for name in intents if name not in doubles},
            sorted(entity_names(self._project)),
            pseudonymiser().leftovers(plain) if seen is None else (),
        )

    def ready(self, marked: str, intent: str, allowed: Collection[str], known: bool) -> tuple[str, str]:
        """(the example as it would be written, an example of that intent that says nearly the same, or "").

        `allowed`: pieces that look personal, and of which the trainer says that they are not; `known`: the page had shown
        what the checks warn of.
        Raises Personal, Refused, Doubtful, BadFile, TrainerError for a text that is too long.
        """
        marked = tidy(marked)
        must_be_short(marked)
        plain = without_marks(marked)
        left = unconfirmed(pseudonymiser().leftovers(plain), allowed)
        if left:
            raise Personal(left)
        context = Context.of(self._project)
        double = next((one.text for one in context.neighbours.doubles(plain) if one.intent == intent), "")
        if double:
            return marked, double
        findings = check_example(context, intent, marked)
        if allowed:  # the trainer has looked at what is left
            findings = [one for one in findings if one.code != "personal"]
        errors = [one for one in findings if one.severity == "error"]
        if errors:
            raise Refused(errors)
        if findings and not known:
            raise Doubtful(findings)
        return marked, ""
