"""The catalogue of questions (`data/answers/*.yml`): each has its answer, a title for a button, a source, a day of review,
questions beside it that exist, and an intent that answers.

What its examples must be is in `answer_examples`, what its text may state in `answer_facts`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Optional
from urllib.parse import urlsplit

from bot.core.catalogue import AnswersFile, Question, Variant, day
from bot.core.examples import QUESTION
from bot.meta.limits import QUICK_REPLY_TITLE
from bot.policy.intents import ANSWER, policy_of
from bot.trainer import reply_uses
from bot.trainer.checks import answer_facts
from bot.trainer.checks.files import Domain
from bot.trainer.checks.finding import Finding, error
from bot.trainer.corpus import short
from bot.trainer.reply_facts import MAX_BYTES

LONGEST = 600  # characters of an answer that nobody gave a reason for
LONGEST_QUESTION = 80
_FOR_AGENTS = "for_agents: true"


def check(
    files: Sequence[AnswersFile], domain: Optional[Domain], today: date, ids: Optional[Collection[str]] = None
) -> Iterator[Finding]:
    """All but the examples. `domain`: None when it cannot be read; what needs it is left out then.

    `ids`: the questions whose own words are looked at, None: all. What only several show is told of all in any case.
    """
    known: dict[str, Question] = {}
    for file in files:
        yield from _alone(file)
        for one in file.questions:
            other = known.setdefault(one.id, one)
            if other is not one:
                yield _of(
                    one, "answer-twice", f"elle est déjà dans {other.file}, ligne {other.line}.", "Gardez-en une."
                )
    for file in files:
        yield from _titles(file.questions)
        for one in file.questions:
            yield from _related(one, known)
            if ids is None or one.id in ids:
                yield from _place(one, domain)
                yield from _head(one)
                yield from _answer(one, domain, today)


def _of(one: Question, code: str, what: str, remedy: str, line: int = 0) -> Finding:
    """About a question; `line`: its answer's without one."""
    return error(code, one.file, line or one.answer_line, f"{one.id} : {what}", remedy)


def _alone(file: AnswersFile) -> Iterator[Finding]:
    for id_, line in file.unanswered:
        what = f"{id_} : cette question n’a pas de réponse."
        yield error("answer-missing", file.name, line, what, f"Écrivez « utter_{id_} » sous « responses ».")
    for id_, line in file.unasked:
        what = f"{id_} : cette réponse n’a pas d’exemples."
        yield error(
            "answer-missing", file.name, line, what, f"Écrivez « - intent: {id_} » et ses exemples sous « nlu »."
        )


def _titles(questions: Sequence[Question]) -> Iterator[Finding]:
    """The titles of an intent stand side by side on buttons."""
    told: dict[tuple[str, str], Question] = {}
    for one in questions:
        other = told.setdefault((one.intent, one.title.casefold()), one)
        if other is not one and one.title:
            what = f"le titre « {short(one.title)} » est déjà celui de {other.id} (ligne {other.answer_line})."
            yield _of(one, "answer-title", what, "Donnez-lui un autre titre : on les voit l’un à côté de l’autre.")


def _place(one: Question, domain: Optional[Domain]) -> Iterator[Finding]:
    """Whether it stands in the file of an intent that exists and answers."""
    if one.intent != one.file.rpartition("/")[2].removesuffix(".yml"):
        what, remedy = (
            "elle n’est pas dans le fichier de son intention.",
            f"Déplacez-la dans data/answers/{one.intent}.yml.",
        )
        yield _of(one, "answer-intent", what, remedy, one.line)
    if domain is None:
        return
    if one.intent not in domain.intents:
        what = f"l’intention « {one.intent} » n’existe pas dans domain.yml."
        yield _of(one, "answer-intent", what, "Corrigez le début de son nom, ou créez l’intention.", one.line)
    elif policy_of(one.intent).route != ANSWER and not one.for_agents:
        what = f"l’intention « {one.intent} » va à un agent : Planton n’y répond pas seul."
        remedy = f"Retirez-la, ou écrivez « {_FOR_AGENTS} » si elle n’est que proposée aux agents."
        yield _of(one, "answer-route", what, remedy)


def _head(one: Question) -> Iterator[Finding]:
    """The words by which a question is offered."""
    if not one.title.strip():
        remedy = f"Écrivez « title », {QUICK_REPLY_TITLE} caractères au plus."
        yield _of(one, "answer-title", "elle n’a pas de titre pour un bouton.", remedy)
    elif len(one.title) > QUICK_REPLY_TITLE:
        what = f"le titre « {short(one.title)} » a {len(one.title)} caractères."
        yield _of(one, "answer-title", what, f"Un bouton en montre {QUICK_REPLY_TITLE} : raccourcissez-le.")
    if not one.question.strip() or len(one.question) > LONGEST_QUESTION:
        what = f"« question » est vide, ou a plus de {LONGEST_QUESTION} caractères."
        yield _of(one, "answer-title", what, "Écrivez la question en une ligne, comme on la poserait.")


def _related(one: Question, known: Mapping[str, Question]) -> Iterator[Finding]:
    for id_ in one.related:
        if id_ == one.id:
            yield _of(one, "answer-related", "elle est sa propre voisine (« related »).", "Retirez-la de sa liste.")
        elif id_ not in known:
            what = f"sa voisine « {short(id_)} » n’existe pas."
            remedy = (
                "Corrigez son nom dans « related », ou retirez-la."
                if QUESTION.fullmatch(id_)
                else "Écrivez intention/question."
            )
            yield _of(one, "answer-related", what, remedy)


def _answer(one: Question, domain: Optional[Domain], today: date) -> Iterator[Finding]:
    for place, variant in enumerate(one.variants):
        yield from _conditions(one, variant, place, domain)
        yield from _length(one, variant)
        yield from _dates(one, variant, today)
        yield from _link(one, variant)
        yield from answer_facts.check(one, variant)
    yield from _source(one)


def _conditions(one: Question, variant: Variant, place: int, domain: Optional[Domain]) -> Iterator[Finding]:
    code, line = "answer-condition", variant.line
    if bool(variant.conditions) != bool(place):
        what = "la première entrée, et elle seule, est sans condition."
        yield _of(one, code, what, "Mettez d’abord la réponse qui vaut pour tout le monde.", line)
    for slot, value in variant.conditions:
        values = reply_uses.values(slot)
        if domain is not None and slot not in domain.slots:
            what = f"l’emplacement « {short(slot)} » n’existe pas dans domain.yml."
            yield _of(one, code, what, "Corrigez le nom de la condition.", line)
        elif values and value not in values:
            what = f"{slot} n’a jamais la valeur « {short(value)} »."
            yield _of(one, code, what, f"Choisissez parmi : {', '.join(sorted(values))}.", line)


def _length(one: Question, variant: Variant) -> Iterator[Finding]:
    count, size = len(variant.text), len(variant.text.encode())
    if not variant.text.strip():
        yield _of(one, "answer-long", "la réponse est vide.", "Écrivez-la.", variant.line)
    elif size > MAX_BYTES:
        what = f"la réponse a {size} octets : Instagram couperait le message."
        yield _of(one, "answer-long", what, f"Raccourcissez-la ({MAX_BYTES} octets au plus).", variant.line)
    elif count > LONGEST and not variant.told("reason").strip():
        what = f"la réponse a {count} caractères, plus de {LONGEST}."
        remedy = "Raccourcissez-la, ou dites dans « reason » pourquoi elle ne peut pas être plus courte."
        yield _of(one, "answer-long", what, remedy, variant.line)


def _dates(one: Question, variant: Variant, today: date) -> Iterator[Finding]:
    told, checked = variant.told("review_by"), variant.told("checked")
    when = day(told)
    if when is None and (told or not variant.conditions):
        what = (
            f"la date de relecture « {short(told)} » n’est pas une date."
            if told
            else "elle n’a pas de date de relecture."
        )
        remedy = "Écrivez « review_by: '2027-10-01' » : le jour où le fait peut avoir changé."
        yield _of(one, "answer-review", what, remedy, variant.line)
    elif when is not None and when < today:
        what = f"elle devait être relue le {when:%d/%m/%Y}."
        remedy = "Rouvrez la source, corrigez la réponse, puis notez « checked » et un nouveau « review_by »."
        yield _of(one, "answer-review", what, remedy, variant.line)
    if checked and ((seen := day(checked)) is None or seen > today):
        what = f"« checked » n’est pas un jour passé : « {short(checked)} »."
        yield _of(one, "answer-review", what, "Écrivez le jour où la page a été ouverte, ou null.", variant.line)


def _source(one: Question) -> Iterator[Finding]:
    if not one.source:
        what, remedy = "elle n’a pas de source.", "Donnez l’adresse de la page qui dit le fait (« source »)."
        yield _of(one, "answer-source", what, remedy)
    for address in one.source:
        if not answer_facts.is_address(address):
            what = f"la source « {short(address)} » n’est pas une adresse."
            yield _of(one, "answer-source", what, "Recopiez-la depuis le navigateur, https:// compris.")
    if not one.seen.strip():
        what = "on ne sait pas de quand est la page lue (« seen »)."
        yield _of(one, "answer-source", what, "Écrivez sa date, ou « s.d. ».")


def _link(one: Question, variant: Variant) -> Iterator[Finding]:
    link, title, line = variant.told("link"), variant.told("link_title"), variant.line
    if bool(link) != bool(title):
        what, remedy = "« link » et « link_title » vont ensemble.", "Donnez l’adresse et le titre de son bouton."
        yield _of(one, "answer-link", what, remedy, line)
    elif len(title) > QUICK_REPLY_TITLE:
        what = f"le titre du lien, « {short(title)} », a {len(title)} caractères."
        yield _of(one, "answer-link", what, f"Un bouton en montre {QUICK_REPLY_TITLE} : raccourcissez-le.", line)
    if not link:
        return
    if not link.startswith("https://") or not answer_facts.is_address(link):
        yield _of(one, "answer-link", f"le lien « {short(link)} » n’est pas une adresse https.", "Recopiez-la.", line)
    elif not answer_facts.vouched(urlsplit(link).hostname or "", answer_facts.sources_of(one, variant)):
        what = f"ni une source ni la liste des sites vérifiés ne nomme {urlsplit(link).hostname}."
        yield _of(one, "answer-link", what, "Donnez un site officiel, ou la source qui y mène.", line)
    elif answer_facts.is_home(link) and variant.told("home_ok") != "true":
        what = f"son seul lien est une page d’accueil ({short(link)})."
        remedy = "Donnez la page précise ; « home_ok: true » si la démarche se fait sur l’accueil même."
        yield _of(one, "answer-link", what, remedy, line)
