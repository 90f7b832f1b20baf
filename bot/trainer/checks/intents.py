"""Each intent: enough examples, not too many beside the others, a reply, a rule, a guideline."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Optional

from bot.core.yaml_text import Mapping
from bot.policy.intents import FALLBACK
from bot.trainer.checks.files import DOMAIN, RULES, Domain
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.checks.stories import steps
from bot.trainer.corpus import NLU, Corpus

ENOUGH = 60  # examples of an intent in data/nlu.yml, as the guide asks
BALANCE = 4.0  # times the median of the intents
GUIDE = "docs/guide-formateur.md"


def check(corpus: Corpus, domain: Domain) -> Iterator[Finding]:
    """Names and numbers."""
    yield from _unknown(corpus, domain)
    # A damaged data/nlu.yml is no intent without examples.
    edited = next((file for file in corpus.files if file.name == NLU), None)
    if edited is None:
        return
    counts = Counter(example.intent for example in edited.examples)
    lines = {block.name: block.line for block in edited.blocks if block.kind == "intent"}
    everywhere = {example.intent for example in corpus.examples}
    usual = statistics.median(counts.values()) if counts else 0
    for intent, line in domain.intents.items():
        count = counts[intent]
        if intent not in everywhere:
            yield error(
                "no-example",
                DOMAIN,
                line,
                f"l’intention « {intent} » n’a aucun exemple : Planton ne la reconnaîtra jamais.",
                "Ajoutez-lui des exemples dans data/nlu.yml, ou retirez-la de domain.yml.",
                intent=intent,
            )
        elif count < ENOUGH:
            yield warning(
                "thin",
                NLU,
                lines.get(intent),
                f"l’intention « {intent} » n’a que {count} exemple{'s' if count > 1 else ''} : il en faut {ENOUGH} au moins.",
                f"Ajoutez-en {ENOUGH - count}, écrits comme les gens écrivent.",
                intent=intent,
            )
        elif count > BALANCE * usual:
            yield warning(
                "unbalanced",
                NLU,
                lines.get(intent),
                f"l’intention « {intent} » a {count} exemples, les autres {usual:.0f} le plus souvent : elle attire les messages "
                "des autres.",
                "Retirez les exemples qui se ressemblent, ou étoffez les autres intentions.",
                intent=intent,
            )


def _unknown(corpus: Corpus, domain: Domain) -> Iterator[Finding]:
    for file in corpus.files:
        for block in file.blocks:
            if block.kind == "intent" and block.name not in domain.intents:
                yield error(
                    "intent-unknown",
                    file.name,
                    block.line,
                    f"l’intention « {block.name} » n’existe pas dans domain.yml.",
                    "Corrigez son nom, ou ajoutez-la à la liste « intents » de domain.yml.",
                    intent=block.name,
                )


def complete(domain: Domain, rules: Optional[Mapping], guide: Optional[str]) -> Iterator[Finding]:
    """What an intent needs beside examples; `rules`, `guide`: None when they cannot be read."""
    ruled = {step.name for told in steps(rules, "rules") for step in told.steps if step.kind == "intent"}
    explained = set(re.findall(r"^#### (\w+)", guide or "", re.MULTILINE))
    for intent, line in domain.intents.items():
        if f"utter_{intent}" not in domain.responses:
            yield error(
                "no-reply",
                DOMAIN,
                line,
                f"l’intention « {intent} » n’a pas de réponse « utter_{intent} ».",
                "Écrivez-la sous « responses » de domain.yml.",
                intent=intent,
            )
        if rules is not None and intent not in ruled:
            yield error(
                "no-rule",
                RULES,
                None,
                f"l’intention « {intent} » n’a pas de règle : rien ne part quand elle est reconnue.",
                "Ajoutez-lui une règle, par exemple avec « action: action_repondre ».",
                intent=intent,
            )
        if guide is not None and intent not in explained:
            yield warning(
                "no-guideline",
                GUIDE,
                None,
                f"l’intention « {intent} » n’est pas expliquée dans le guide.",
                f"Ajoutez une partie « #### {intent} » : sa définition, trois exemples inventés, ses frontières.",
                intent=intent,
            )
    if rules is not None and FALLBACK not in ruled:
        yield error(
            "no-rule",
            RULES,
            None,
            "aucune règle ne dit quoi faire d’un message mal compris (nlu_fallback).",
            "Remettez la règle « incompris », avec « action: action_clarify ».",
        )
