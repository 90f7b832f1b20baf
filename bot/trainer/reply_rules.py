"""The rules that a reply keeps: length, source, words, typography, numbers, sites, quick replies, and what it must carry.

One implementation for the tests, for `planton check` and for the page. `of_reply` looks at one reply (in the company of the
others, with which it is sent in one message); `of_all` at every reply and at what only all together show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from urllib.parse import urlsplit

from bot.core.dialogue import HandoffRequest, Reply, Turn, Understanding
from bot.meta.limits import QUICK_REPLIES, QUICK_REPLY_TITLE
from bot.policy import emergency, emergency_taps, route, satisfaction
from bot.policy.intents import EMERGENCY, HANDOFF, INTENTS, policy_of
from bot.policy.language import FRENCH, SPOKEN
from bot.trainer import reply_facts as facts
from bot.trainer import reply_uses
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.replies import FILE, OWN_SOURCE, TWINS, Replies, Response, Variation

LINK = re.compile(r"https?://[^\s,;]*[^\s,;.)]")
PHONE = re.compile(
    r"(?<![\d€])(?:0 ?8\d\d ?\d\d\d ?\d\d\d|0 800(?: \d\d){3}|08 019 019 11|0[1-9](?:[ .]?\d\d){4}|116 \d{3}|33700|3\d{3}"
    r"|11[0-9]|1[578])(?!\d)"
)
# What else may be a figure: amounts, durations, dates, ages.
MEASURE = re.compile(
    r"\d[\d ]*(?:,\d+)?\s?(?:€|(?:ans?|mois|jours?|days|h)\b)|1er janvier"
    r"|(?:\d{1,2} )?(?:janvier|mars|octobre|novembre) 20\d\d|(?:[Ee]n|source de) 20\d\d|(?:de|entre) \d+ (?:à|et) \d+|n°\s\d"
)
PAYLOAD = re.compile(r'/(\w+)(?:\{"\w+": "\w+"(?:, "\w+": "\w+")*\})?')
NOBODY = "Écrire ici n’alerte personne."
STALE = 183  # days after which a source is to be opened again
_ASKS = re.compile(r"[Dd]ites-(nous|lui)|dans quelle ville|écrivez ici|lieu et la date")
_TYPOGRAPHY = (
    (re.compile(r"(?<!\u202f)[;!?]"), "il manque une espace fine insécable avant ; ! ou ?"),
    (re.compile(r"(?<!\u00a0):"), "il manque une espace insécable avant :"),
    (re.compile(r"«(?!\u00a0)|(?<!\u00a0)»"), "il manque une espace insécable dans les guillemets « »"),
    (re.compile(r" [\u00a0\u202f]|[\u00a0\u202f] |  "), "deux espaces se suivent"),
)


# What makes the finding, its code, what is wrong, the remedy.
Said = tuple[Callable[..., Finding], str, str, str]


def french(name: str) -> bool:
    """Whether the rules of French typography hold."""
    return not name.startswith(("utter_langue_", "utter_anglais_")) and not name.endswith("_anglais")


def prose(text: str) -> str:
    """The text without its links."""
    return LINK.sub("lien", text)


def forbidden(text: str) -> list[str]:
    """The kinds of forbidden words in a text."""
    return [
        kind
        for kind, words in facts.FORBIDDEN.items()
        if re.search(words, text, re.IGNORECASE if kind != "shouting" else 0)
    ]


def typography(text: str) -> list[str]:
    """What is wrong with the spaces of a French text, in French."""
    return [what for pattern, what in _TYPOGRAPHY if pattern.search(prose(text))]


def typeset(text: str) -> str:
    """The text with French spaces, curved apostrophes and real dots; its links stay as they are. Doing it again changes nothing."""
    parts, at = [], 0
    for link in LINK.finditer(text):
        parts += [_typeset(text[at : link.start()]), link[0]]
        at = link.end()
    return "".join([*parts, _typeset(text[at:])])


def _typeset(text: str) -> str:
    text = text.replace("...", "…").replace("'", "’")
    text = re.sub(r"[ \u00a0\u202f]*([;!?])", "\u202f\\1", text)
    text = re.sub(r"[ \u00a0\u202f]*:", "\u00a0:", text)
    text = re.sub(r"«[ \u00a0\u202f]*", "«\u00a0", text)
    text = re.sub(r"[ \u00a0\u202f]*»", "\u00a0»", text)
    return re.sub(r" {2,}", " ", text)


def typeset_reply(one: Response) -> Response:
    """A reply with French spaces in its texts and titles; one in another language is left as it is."""
    if not french(one.name):
        return one
    return replace(
        one,
        variations=tuple(
            replace(v, text=typeset(v.text), buttons=tuple(b._replace(title=typeset(b.title)) for b in v.buttons))
            for v in one.variations
        ),
    )


# -- one reply ---------------------------------------------------------------------------------------------------------


def of_reply(one: Response, replies: Replies, today: date) -> list[Finding]:
    """All that is wrong with a reply. `replies` holds it among the others. Milliseconds."""
    found: list[Finding] = []
    for variation in one.variations:
        place = (FILE, variation.line or one.line or None)
        found += (
            make(code, *place, f"{one.name} : {what}", remedy)
            for make, code, what, remedy in _variation(one, variation, replies, today)
        )
    place = (FILE, one.line or None)
    found += (
        make(code, *place, f"{one.name} : {what}", remedy) for make, code, what, remedy in _response(one, replies)
    )
    return found


def _variation(one: Response, v: Variation, replies: Replies, today: date) -> Iterator[Said]:
    yield from _length(v)
    yield from _metadata(v, today)
    yield from _words(one.name, v)
    yield from _numbers(v)
    yield from _links(v)
    yield from _placeholders(one.name, v)
    yield from _buttons(one.name, v, replies.entities)
    yield from _carried(one.name, v)
    yield from _danger(one.name, v)
    yield from _handed_off(one.name, v, replies)


def _length(v: Variation) -> Iterator[Said]:
    if not v.text.strip():
        yield error, "reply-empty", "le texte est vide.", "Écrivez le texte, ou retirez la variante."
    elif v.text != v.text.strip():
        yield error, "reply-spaces", "des espaces ou des lignes vides entourent le texte.", "Retirez-les."
    if v.size > facts.MAX_BYTES:
        more = v.size - facts.MAX_BYTES
        yield (
            error, "reply-long", f"{v.size} octets, {more} de trop : Instagram couperait le message.",
            f"Raccourcissez ({facts.MAX_BYTES} octets au plus ; un accent en compte deux).",
        )  # fmt: skip
    elif v.size > facts.AIM_BYTES:
        yield (
            warning, "reply-lengthy", f"{v.size} octets : un message de plus de {facts.AIM_BYTES} se lit mal au téléphone.",
            "Raccourcissez si rien d’utile ne se perd.",
        )  # fmt: skip


def _metadata(v: Variation, today: date) -> Iterator[Said]:
    for fault in v.faults:
        yield error, "reply-metadata", f"{fault}.", "Complétez « metadata » : source, seen, checked."
    if not (v.source.startswith("https://") or v.source == OWN_SOURCE):
        yield (
            error,
            "reply-source",
            "la source n’est ni une adresse https, ni « texte propre au service ».",
            "Donnez la page officielle.",
        )
    elif v.source != OWN_SOURCE and not urlsplit(v.source).hostname:
        yield error, "reply-source", "l’adresse de la source n’est pas complète.", "Recopiez-la depuis le navigateur."
    if not v.seen.strip():
        yield (
            error,
            "reply-source",
            "on ne sait pas de quand est la copie lue (« seen »).",
            "Écrivez sa date, ou « sans objet ».",
        )
    if v.checked is not None and v.checked > today:
        yield error, "reply-checked", "la date de vérification est dans l’avenir.", "Corrigez-la."
    elif v.checked is not None and (today - v.checked).days > STALE:
        yield (
            warning, "reply-stale", f"la source a été vérifiée le {v.checked:%d/%m/%Y}, il y a plus de six mois.",
            "Ouvrez la page, corrigez le texte s’il le faut, puis cochez « vérifiée aujourd’hui ».",
        )  # fmt: skip
    bare = re.sub(r"n°\s\d|\{\w+\}", "", PHONE.sub("", prose(v.text)))
    if re.search(r"\d", bare) and not v.source.startswith("https://"):
        yield (
            error,
            "reply-figure",
            "un chiffre (âge, délai, montant) n’a pas de source.",
            "Donnez la page officielle, ou retirez le chiffre.",
        )


def _words(name: str, v: Variation) -> Iterator[Said]:
    bare = prose(v.text)
    for kind in forbidden(bare):
        if kind != "old names":
            what, remedy = facts.FORBIDDEN_SAYS[kind]
            yield error, "reply-words", f"{what}{_quote(kind, bare)}.", remedy
    if "old names" in forbidden(v.text):
        what, remedy = facts.FORBIDDEN_SAYS["old names"]
        yield error, "reply-words", f"{what}{_quote('old names', v.text)}.", remedy
    if french(name):
        wrong = {what: None for text in (v.text, *(b.title for b in v.buttons)) for what in typography(text)}
        for what in wrong:
            yield error, "reply-typography", f"{what}.", "Le bouton « Mettre les espaces » le fait pour vous."


def _quote(kind: str, text: str) -> str:
    found = re.search(facts.FORBIDDEN[kind], text, re.IGNORECASE if kind != "shouting" else 0)
    return f" : « {found[0].strip()} »" if found and len(found[0].strip()) > 1 else ""


def _numbers(v: Variation) -> Iterator[Said]:
    rest = MEASURE.sub(" ", prose(v.text))
    for number in sorted(set(PHONE.findall(rest)) - facts.NUMBERS):
        yield (
            error, "reply-number", f"le numéro {number} n’est pas dans la liste des numéros vérifiés.",
            "Vérifiez-le sur une page officielle, puis faites-le ajouter (bot/trainer/reply_facts.py).",
        )  # fmt: skip
    left = re.search(r"\d{2,}", PHONE.sub(" ", rest).replace("17Cyber", " "))
    if left:
        yield (
            error, "reply-number", f"« {left[0]} » n’est ni un numéro vérifié, ni une mesure.",
            "Écrivez l’unité (ans, mois, €…), ou retirez ce chiffre.",
        )  # fmt: skip


def _links(v: Variation) -> Iterator[Said]:
    for link in LINK.findall(v.text):
        if urlsplit(link).scheme != "https":
            yield error, "reply-link", f"le lien {link} n’est pas en https.", "Écrivez https://."
        elif urlsplit(link).hostname not in facts.DOMAINS:
            yield (
                error, "reply-link", f"{urlsplit(link).hostname} n’est pas dans la liste des sites officiels.",
                "Donnez un site officiel, ou faites ajouter celui-ci (bot/trainer/reply_facts.py).",
            )  # fmt: skip
    if "www." in prose(v.text):
        yield error, "reply-link", "un lien sans https:// ne s’ouvre pas d’un doigt.", "Ajoutez https:// devant www."


def _placeholders(name: str, v: Variation) -> Iterator[Said]:
    wanted, found = facts.PLACEHOLDERS.get(name, []), re.findall(r"\{(.*?)\}", v.text)
    if found == wanted:
        return
    if not wanted:
        yield error, "reply-placeholder", "les accolades { } ne sont pas remplies ici.", "Retirez-les."
        return
    needs = ", ".join(f"{{{one}}}" for one in wanted)
    what = f"ce texte doit contenir {needs}, dans cet ordre et une seule fois."
    yield error, "reply-placeholder", what, "Remettez-les : elles sont remplies à l’envoi."


def _buttons(name: str, v: Variation, entities: Sequence[str]) -> Iterator[Said]:
    if len(v.buttons) > QUICK_REPLIES:
        yield error, "reply-buttons", f"{len(v.buttons)} réponses rapides.", f"Gardez-en {QUICK_REPLIES} au plus."
    for what, values in (("titre", [b.title for b in v.buttons]), ("suite", [b.payload for b in v.buttons])):
        for value, n in Counter(values).items():
            if n > 1:
                yield (
                    error,
                    "reply-buttons",
                    f"deux réponses rapides ont le même {what} « {value} »."
                    if what == "titre"
                    else f"deux réponses rapides ont la même suite {value}.",
                    "Changez-en une.",
                )
    for button in v.buttons:
        if not button.title.strip() or len(button.title) > QUICK_REPLY_TITLE:
            yield (
                error, "reply-buttons", f"le titre « {button.title} » a {len(button.title)} caractères.",
                f"De 1 à {QUICK_REPLY_TITLE} caractères.",
            )  # fmt: skip
        wrong = payload(name, button.payload, entities)
        if wrong:
            yield (
                error,
                "reply-payload",
                f"« {button.title} » : {wrong}",
                'Écrivez /intention, ou /intention{"corps": "officier"}.',
            )


def payload(name: str, given: str, entities: Sequence[str]) -> str:
    """What is wrong with where a quick reply leads, in French; "" when it is right."""
    if name == satisfaction.QUESTION:  # read before the engine
        return (
            ""
            if given in satisfaction.ANSWERS
            else "cette suite n’est pas un avis (satisfaction:oui, satisfaction:non)."
        )
    if name == emergency_taps.BUTTONS:  # read before the engine, too
        known = " et ".join(emergency_taps.TAPS)
        return "" if given in emergency_taps.TAPS else f"sous une réponse d’urgence, seules {known} existent."
    match = PAYLOAD.fullmatch(given)
    if not match:
        return f"la suite {given or 'vide'} n’a pas la bonne forme."
    if match[1] not in INTENTS:
        return f"l’intention {match[1]} n’existe pas."
    if INTENTS[match[1]].route == EMERGENCY:
        return "aucune réponse rapide ne déclare un danger."
    if "{" not in given and name == f"utter_{match[1]}":
        return "elle ramène à la même réponse."
    for entity, value in re.findall(r'"(\w+)": "(\w+)"', given):
        if entity not in entities:
            return f"« {entity} » n’existe pas dans domain.yml (entities)."
        if value not in reply_uses.values(entity):
            return f"aucune action ne connaît {entity} = {value}."
    return ""


def _carried(name: str, v: Variation) -> Iterator[Said]:
    for word in facts.CARRIED.get(name, ()):
        if not re.search(rf"(?<!\d){re.escape(word)}(?!\d)", v.text):
            yield error, "reply-carries", f"« {word} » doit rester dans ce texte.", "Remettez-le."
    if facts.DOUBTFUL.get(name, "\0") in v.text:
        yield (
            error,
            "reply-doubtful",
            f"« {facts.DOUBTFUL[name]} » : les sources se contredisent.",
            "Donnez la page officielle à la place.",
        )
    if name in facts.DOUBTFUL and not (
        re.search(r"vérifi|page officielle", v.text, re.IGNORECASE)
        and re.search(r"https://www\.(service-public\.gouv|devenirpolicier)\.fr", v.text)
    ):
        yield (
            error,
            "reply-doubtful",
            "les sources se contredisent sur ce point.",
            "Renvoyez à la page officielle, avec son lien.",
        )
    if name in facts.NO_DATE and re.search(r"\bdate\b", v.text):
        yield error, "reply-doubtful", "aucune date n’est sûre pour la réserve.", "Ne parlez pas de date."
    if name == "utter_salutation" and not ("je suis un assistant automatique" in v.text.lower() and "agent" in v.text):
        yield (
            error,
            "reply-carries",
            "l’accueil dit « je suis un assistant automatique » et parle des agents.",
            "Remettez-le.",
        )


def _danger(name: str, v: Variation) -> Iterator[Said]:
    policy = INTENTS.get(name.removeprefix("utter_"))
    numbers = {n for n in ("17", "114") if re.search(rf"(?<!\d){n}(?!\d|Cyber)", prose(v.text))}
    if policy is not None and policy.route == HANDOFF and len(numbers) == 1:
        has = next(iter(numbers))
        yield (
            error, "reply-danger", f"ce texte donne le {has} sans le {'114' if has == '17' else '17'}.",
            "En danger, une fois : donnez les deux numéros, ou aucun (la ligne utter_filet s’ajoute alors d’elle-même).",
        )  # fmt: skip
    if name not in facts.WHO_WANTS_TO_DIE and "votre vie compte" in v.text.lower():
        yield error, "reply-emergency", "« votre vie compte » ne se dit qu’à qui veut mourir.", "Retirez ces mots."
    if name in ("utter_urgence", "utter_detresse", *facts.EMERGENCY) and name != "utter_urgence_retard_autre":
        yield from _emergency(name, v)
    if name in facts.LIKELY:
        yield from _likely(v)
    if name == "utter_urgence":
        order = [v.text.find(number) for number in ("17", "112", "15", "18", "114")]
        if order != sorted(order):
            yield (
                error,
                "reply-emergency",
                "les numéros viennent dans cet ordre : 17, 112, 15, 18, 114.",
                "Remettez-les dans l’ordre.",
            )
    if name in ("utter_urgence_anglais", "utter_detresse_anglais"):
        if not v.text.startswith("Writing here does not alert anyone."):
            yield (
                error,
                "reply-emergency",
                "le texte commence par « Writing here does not alert anyone. ».",
                "Remettez cette phrase.",
            )
        if "?" in v.text.replace("Cannot speak?", ""):
            yield error, "reply-emergency", "un texte d’urgence ne pose pas de question.", "Retirez la question."


def _emergency(name: str, v: Variation) -> Iterator[Said]:
    said = v.text.lower()
    if name == "utter_urgence" and not v.text.startswith(NOBODY):
        yield error, "reply-emergency", f"le texte commence par « {NOBODY} ».", "Remettez cette phrase au début."
    if NOBODY[:-1].lower() not in said:
        yield error, "reply-emergency", f"le texte dit « {NOBODY} ».", "Remettez cette phrase, même dans une autre."
    most = facts.AIM_BYTES if name in ("utter_urgence", "utter_detresse") else facts.LONGEST_EMERGENCY
    if v.size > most:
        yield error, "reply-emergency", f"{v.size} octets.", f"Un texte d’urgence a {most} octets au plus."
    if name == "utter_urgence_couple_auteur" and "votre faute" in said:
        yield error, "reply-emergency", "un auteur lirait « pas votre faute ».", "Retirez ces mots."
    yield from _asks_nothing(v)


def _likely(v: Variation) -> Iterator[Said]:
    """The words for a danger that is only likely: they ask nothing, do not promise help and are read on a phone."""
    if facts.NO_HELP not in v.text.lower():
        yield (
            error, "reply-emergency", f"le texte dit « {facts.NO_HELP} ».", "Remettez ces mots : personne n’est prévenu.",
        )  # fmt: skip
    if v.size > facts.AIM_BYTES:
        yield error, "reply-emergency", f"{v.size} octets.", f"Un texte d’urgence a {facts.AIM_BYTES} octets au plus."
    yield from _asks_nothing(v)


def _asks_nothing(v: Variation) -> Iterator[Said]:
    if "?" in v.text:
        yield error, "reply-emergency", "un texte d’urgence ne pose pas de question.", "Retirez la question."


def _handed_off(name: str, v: Variation, replies: Replies) -> Iterator[Said]:
    policy = INTENTS.get(name.removeprefix("utter_"))
    if policy is None or policy.route != HANDOFF:
        return
    texts = _first(replies)
    parts = [texts.get(one, "") for one in ("utter_filet", "utter_attente_minutes", "utter_assistant")]
    extra = len("\n".join(parts).encode()) + 3
    if v.size + extra > facts.MAX_BYTES:
        yield (
            error, "reply-long", f"{v.size} octets, avec les lignes qui s’y ajoutent {v.size + extra}.",
            f"Raccourcissez de {v.size + extra - facts.MAX_BYTES} octets.",
        )  # fmt: skip
    if not _ASKS.search(v.text):
        yield (
            error,
            "reply-asks",
            "le texte ne demande pas ce dont l’agent a besoin.",
            "Demandez le lieu, la date, le service (« Dites-nous… »).",
        )


# -- a reply among the others ------------------------------------------------------------------------------------------


def _response(one: Response, replies: Replies) -> Iterator[Said]:
    n = len(one.variations)
    if one.name in facts.SYSTEM and n != 1:
        yield error, "reply-variations", f"{n} variantes.", "Ce texte est lu tel quel par le service : gardez-en une."
    if one.name in facts.TWICE and len({v.text for v in one.variations}) != 2:
        yield (
            error,
            "reply-variations",
            "cette réponse revient souvent : elle a deux textes différents.",
            "Écrivez-en deux.",
        )
    texts = [v.text for v in one.variations]
    if len(set(texts)) != len(texts):
        yield error, "reply-variations", "deux variantes ont le même texte.", "Retirez-en une."
    twin = replies.responses.get(TWINS.get(one.name, ""))
    if twin is not None and [v.text for v in twin.variations] != texts:
        yield (
            error,
            "reply-twin",
            f"le texte n’est plus celui de {twin.name}.",
            "Les deux partent au même moment : donnez-leur le même texte.",
        )
    if one.name.startswith("utter_perte_vol_documents_") or one.name == "utter_precis_sac_vole":
        question = replies.responses.get("utter_perte_vol_documents_pays")
        room = max((v.size for v in question.variations), default=0) if question else 0
        for v in one.variations:
            if v.size + 1 + room > facts.MAX_BYTES:
                yield (
                    error,
                    "reply-long",
                    "la question du pays ne tient plus derrière ce texte.",
                    f"Raccourcissez de {v.size + 1 + room - facts.MAX_BYTES} octets.",
                )
    yield from _menu(one)


def _menu(one: Response) -> Iterator[Said]:
    if one.name not in ("utter_salutation", "utter_clarify", "utter_theme_autre"):
        return
    themes = set(reply_uses.values("theme")) - {"autre"}
    wanted = {f'/salutation{{"theme": "{theme}"}}' for theme in themes} | {"/parler_humain"}
    for v in one.variations:
        if {b.payload for b in v.buttons} - {"/hors_perimetre"} != wanted:
            yield (
                error,
                "reply-menu",
                "le menu offre chaque thème et « parler à un agent ».",
                "Remettez la réponse rapide qui manque.",
            )


def _first(replies: Replies) -> dict[str, str]:
    """The texts as other parts read them: of each reply the first."""
    return {name: one.variations[0].text.strip() for name, one in replies.responses.items()}


def longest(replies: Replies) -> dict[str, str]:
    """Of each reply its longest text: what fits with it fits with the others."""
    return {name: max(one.variations, key=lambda v: v.size).text for name, one in replies.responses.items()}


def composed(
    texts: Mapping[str, str],
    intent: str,
    spoken: str = FRENCH,
    told: bool | None = None,
    also: str = "",
    clarify: bool = False,
) -> str:
    """The one message that a stranger gets: by day, or at night (`told`: after this night's message).

    `also`: a reply with facts in their language.
    """
    policy = policy_of(intent)
    request = HandoffRequest(policy.category, policy.priority, intent) if policy.route == HANDOFF else None
    reply = Reply(texts["utter_clarify" if clarify else f"utter_{intent}"])
    # With a trace of danger: then the reply is as long as it may be.
    understood = Understanding(intent, 0.9, danger=route.NET_DANGER, french=spoken == FRENCH)
    turn = Turn(understood, (reply,), request, clarify)
    outcome = route.by_day(turn, route.Situation(wait=texts["utter_attente_minutes"], spoken=spoken, facts=also), texts)
    if told is not None:
        outcome = route.at_night(outcome, told, texts, spoken)
    return "\n\n".join(reply.text for reply in outcome.replies)


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s|\n", text) if part.strip()]


HANDED_OFF = tuple(intent for intent, policy in INTENTS.items() if policy.route == HANDOFF)


def together(replies: Replies, facts_of: Mapping[str, Sequence[str]] | None = None) -> list[Finding]:
    """What only the whole message shows: too long, said twice, the numbers twice or not at all.

    `facts_of`: by language, the replies with facts that `data/precisions.yml` adds to it.
    """
    texts = longest(replies)
    missing = [name for name in (*facts.SYSTEM, *(f"utter_{intent}" for intent in INTENTS)) if name not in texts]
    if missing:
        return [
            error(
                "reply-missing",
                FILE,
                None,
                f"Il manque {', '.join(missing)}.",
                "Remettez ces réponses : le service les envoie.",
            )
        ]
    try:
        emergency.check_texts(_first(replies))
    except ValueError as wrong:
        said = str(wrong)
        return [
            error(
                "reply-emergency",
                FILE,
                replies.responses["utter_urgence"].line,
                f"{said[:1].upper()}{said[1:]}.",
                "Raccourcissez ces textes : ils partent en un seul message.",
            )
        ]
    found: dict[str, Finding] = {}
    for name, what, whole in _messages(texts, facts_of or {}):
        for said, remedy in _message(name, what, whole):
            line = replies.responses[name].line
            found.setdefault(f"{name} {said}", error("reply-together", FILE, line, f"{name} : {said}", remedy))
    found.update(_emergencies(texts, replies))
    return list(found.values())


def _messages(texts: Mapping[str, str], facts_of: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    """(reply, kind, whole message) of each that may be sent."""
    for intent in (*HANDED_OFF, "armes"):
        for told in (None, False, True):
            clarify = intent == "armes"
            name = "utter_clarify" if clarify else f"utter_{intent}"
            kind = "day" if told is None else "told" if told else "night"
            yield name, kind, composed(texts, intent, told=told, clarify=clarify)
    for code in SPOKEN:
        name = f"utter_langue_{code}"
        for also in ("", *facts_of.get(code, ())):
            yield (also or name), "foreign", composed(texts, "armes", code, also=also)
        yield name, "foreign", composed(texts, "armes", code, False)
        for intent in HANDED_OFF:
            for told in (None, False):
                yield name, "foreign", composed(texts, intent, code, told)


def _message(name: str, kind: str, whole: str) -> Iterator[tuple[str, str]]:
    size = len(whole.encode())
    if size > facts.MAX_BYTES:
        yield (
            f"le message entier fait {size} octets.",
            f"Raccourcissez de {size - facts.MAX_BYTES} octets : il part en un seul message.",
        )
    if kind == "foreign":
        return
    said = sentences(whole)
    twice = [one for one, n in Counter(said).items() if n > 1]
    if twice:
        yield f"« {twice[0]} » est dit deux fois dans le même message.", "Retirez-le d’un des textes."
    for number in ("17", "114"):
        n = len(re.findall(rf"(?<!\d){number}(?!\d|Cyber)", LINK.sub("", whole)))
        due = kind != "told" or whole != ""
        if n != (1 if due else 0):
            yield (
                f"le {number} est dit {n} fois dans le même message.",
                "Une fois exactement : voyez utter_filet et les textes de nuit.",
            )
    if kind == "night" and re.search(r"Bonsoir|Bonjour|bonne nuit", whole):
        yield "un salut du jour ou du soir dans un message de nuit.", "Retirez-le : il part de minuit à six heures."


def _emergencies(texts: Mapping[str, str], replies: Replies) -> Iterator[tuple[str, Finding]]:
    for name in ("utter_urgence", "utter_detresse"):
        parts = ("utter_urgence_retard", name, f"{name}_anglais", "utter_urgence_nuit")
        size = len("\n".join(texts[part] for part in parts).encode())
        if size > facts.MAX_BYTES:
            line = replies.responses[name].line
            yield (
                f"{name} whole",
                error(
                    "reply-emergency",
                    FILE,
                    line,
                    f"{name} : avec {', '.join(part for part in parts if part != name)}, {size} octets.",
                    f"Raccourcissez de {size - facts.MAX_BYTES} octets en tout.",
                ),
            )
    whole = composed(texts, "violences_conjugales", told=False)
    if "pas lu" in whole or "transm" not in whole:
        yield (
            "night",
            error(
                "reply-together",
                FILE,
                replies.responses["utter_nuit_grave"].line,
                "utter_nuit_grave : la nuit, ce message dit qu’il est transmis, et non qu’il n’est pas lu.",
                "Corrigez ce texte.",
            ),
        )
    if "transm" in composed(texts, "reclamation_police", told=False):
        yield (
            "night-plain",
            error(
                "reply-together",
                FILE,
                replies.responses["utter_nuit"].line,
                "utter_nuit : ce message attend le matin, il n’est pas transmis.",
                "Corrigez ce texte.",
            ),
        )


def titles(replies: Replies) -> list[Finding]:
    """« Est-ce l’un de ces sujets ? » reads the subjects' titles in the menus: one each, all different."""
    found: dict[str, tuple[str, str]] = {}
    wrong = []
    for name, one in replies.responses.items():
        for button in (
            b for v in one.variations for b in v.buttons if name.startswith("utter_theme_") and "{" not in b.payload
        ):
            intent = button.payload[1:]
            title, where = found.setdefault(intent, (button.title, name))
            if title != button.title:
                wrong.append(
                    error(
                        "reply-titles",
                        FILE,
                        one.line,
                        f"{name} : {intent} s’appelle « {title} » dans {where} et « {button.title} » ici.",
                        "Donnez-lui le même titre partout.",
                    )
                )
    for title, n in Counter(title for title, _ in found.values()).items():
        if n > 1:
            wrong.append(
                error(
                    "reply-titles",
                    FILE,
                    None,
                    f"Deux sujets s’appellent « {title} » dans les menus.",
                    "Changez l’un des titres.",
                )
            )
    without = {"salutation", "au_revoir", "insulte_troll", "danger_immediat", "detresse_suicide"}
    for intent in sorted(set(INTENTS) - without - set(found)):
        wrong.append(
            error(
                "reply-titles",
                FILE,
                None,
                f"Aucun menu (utter_theme_…) n’offre {intent}.",
                "Ajoutez-lui une réponse rapide.",
            )
        )
    return wrong


def stale(replies: Replies, today: date) -> list[tuple[str, int, date]]:
    """(reply, line, day) of each whose official page was last opened more than six months ago."""
    return [
        (one.name, v.line, v.checked)
        for one in replies.responses.values()
        for v in one.variations
        if v.source != OWN_SOURCE and v.checked is not None and (today - v.checked).days > STALE
    ]


def of_all(replies: Replies, today: date, facts_of: Mapping[str, Sequence[str]] | None = None) -> list[Finding]:
    """Every reply, then what only all together show."""
    found = [finding for one in replies.responses.values() for finding in of_reply(one, replies, today)]
    return [*found, *together(replies, facts_of), *titles(replies)]
