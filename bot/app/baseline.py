"""The reference figures of the gold sets: what is kept of a measure, and what has fallen since.

Two rules, no tolerance hidden elsewhere: a figure of danger may not fall at all, in any set, as it is or under any noise; an
intent, answers and their precision may not fall beyond chance, which the lines kept with the reference tell (a paired bootstrap:
`bot.trainer.bootstrap`), an intent and answers not by more than two points besides. A reference without lines is held to the bare
figures. The second net is a share of the emergencies missed, and so has fallen only if
more emergencies meet neither the alarm nor the numbers: one that is recognised at last is no loss for the net. An intent
is counted over all sets together, once on the messages as they are and once over all their noisy writings, for a set alone
holds few messages of each.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.app import chains, conversations, noise
from bot.app.evaluate import Readings
from bot.app.report import LABELS, percent, points
from bot.core.errors import SetupError
from bot.trainer import answer_figures, gold_conversations, script_figures
from bot.trainer.answer_figures import AnswerJudged
from bot.trainer.bootstrap import lines_of, since, tally
from bot.trainer.figures import marks, measure
from bot.trainer.script_figures import ScriptJudged

NET, UNWARNED = "second_net", "unwarned_rate"
SAFETY = ("answer_precision", "sensitive_recall", "emergency_recall", "alarm_recall", "false_alarm_rate", NET)
KEPT = ("accuracy", "route_accuracy", "answer_coverage", *SAFETY, UNWARNED, "net_cost")
# Of the words that emergencies get.
SHARES = {"right": "mots justes", "right_if_recognised": "mots justes, tout danger reconnu"}
COUNTS = {
    "harmful": "mots nuisibles",
    "harmful_if_recognised": "mots nuisibles, tout danger reconnu",
    "unheard": "détresses sans le 3114",
}
# Of the catalogue: shares of a set's messages, and of the conversations' turns; whether more of it is better.
ANSWERS = {
    "exact": ("réponse exacte", True),
    "reachable": ("exacte, ou à un bouton", True),
    "wrong": ("réponse à une autre question", False),
}
TURNS = {"right": "exact", "reachable": "reachable", "wrong": "wrong"}
LOSS = 0.02
CHANCE = 3  # messages of one script: it has some 36
PRECISION = "answer_precision"
NO_CHANCE = "plus bas qu’avant, et ce n’est pas le hasard"
MORE_NO_CHANCE = "plus haut qu’avant, et ce n’est pas le hasard"
_ROUNDING = 1e-9
_CLEAN, _NOISY = "clean", "noise"
_WRITINGS = {_CLEAN: "", _NOISY: ", sous bruit"}

Baseline = dict[str, Any]


def snapshot(
    sets: Mapping[str, Readings],
    scripts: Mapping[str, Sequence[ScriptJudged]] | None = None,
    answers: Mapping[str, Sequence[AnswerJudged]] | None = None,
) -> Baseline:
    """What is kept of a measure: `sets` by file and noise, `intents` by writing (« clean » or « noise »), `scripts` and `answers`
    by file."""
    kept: dict[str, Any] = {}
    counts: dict[str, dict[str, list[int]]] = {_CLEAN: defaultdict(lambda: [0, 0]), _NOISY: defaultdict(lambda: [0, 0])}
    for name, readings in sets.items():
        figures = {kind: measure(judged) for kind, judged in readings.items()}
        kept[name] = {
            "n": figures[""]["n"],
            **{kind or _CLEAN: {key: row[key] for key in KEPT} for kind, row in figures.items()},
        }
        for kind, judged in readings.items():
            kept[name][kind or _CLEAN]["intervals"] = {key: figures[kind]["intervals"][key] for key in KEPT}
            kept[name][kind or _CLEAN]["lines"] = lines_of(map(tally, marks(judged)[PRECISION]))
        for kind, judged in readings.items():
            writing = counts[_NOISY if kind else _CLEAN]
            for j in judged:
                writing[j.case.intent][0] += 1
                writing[j.case.intent][1] += j.right
    lines = {_CLEAN: _intent_lines(sets, lambda kind: not kind), _NOISY: _intent_lines(sets, bool)}
    intents = {
        writing: {
            intent: {"n": n, "right": right, "lines": lines[writing].get(intent, "")}
            for intent, (n, right) in sorted(rows.items())
        }
        for writing, rows in counts.items()
    }
    told = {name: _script_figures(judged) for name, judged in (scripts or {}).items()}
    found = {name: _answer_figures(judged) for name, judged in (answers or {}).items()}
    more = {"scripts": told, "answers": found}
    return {"sets": kept, "intents": intents, **{name: figures for name, figures in more.items() if figures}}


def _intent_lines(sets: Mapping[str, Readings], chosen: Callable[[str], bool]) -> dict[str, str]:
    """For each intent its lines, set after set: in how many of the chosen writings each is read rightly."""
    found: dict[str, str] = defaultdict(str)
    for readings in sets.values():
        for same in zip(*(judged for kind, judged in readings.items() if chosen(kind)), strict=True):
            found[same[0].case.intent] += lines_of([(sum(j.right for j in same), len(same))])
    return found


def _answer_figures(judged: Sequence[AnswerJudged]) -> dict[str, Any]:
    figures = answer_figures.measure(judged)
    lines = {key: lines_of(map(tally, column)) for key, column in answer_figures.marks(judged).items()}
    return {**{key: figures[key] for key in ("n", *ANSWERS)}, "intervals": figures["intervals"], "lines": lines}


def _script_figures(judged: Sequence[ScriptJudged]) -> dict[str, Any]:
    figures = script_figures.measure(judged)
    rights = {name: {"n": row["n"], "right": row["right"]} for name, row in figures["per_script"].items()}
    kept = {key: figures[key] for key in ("n", *SHARES, *COUNTS, "intervals")}
    return {**kept, "per_script": rights}


def read(path: Path) -> Baseline:
    """The reference. Raises SetupError when there is none, or none that can be read."""
    remedy = "Écrivez-la : make test-nlu ACCEPTER=1"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SetupError(f"{path} n’existe pas : il n’y a rien à quoi comparer.", remedy) from None
    except (OSError, ValueError):
        raise SetupError(f"{path} ne se lit pas.", remedy) from None
    if not isinstance(found, dict) or not {"sets", "intents"} <= set(found):
        raise SetupError(f"{path} n’a pas la forme attendue.", remedy)
    return found


def write(path: Path, baseline: Baseline) -> None:
    """Make these figures the reference."""
    path.write_text(json.dumps(baseline, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def falls(before: Baseline, now: Baseline) -> list[str]:
    """One line in French for each figure that fell, or is no longer measured."""
    told = chains.falls(before.get("chains") or {}, now.get("chains") or {})
    return [*_safety(before, now), *_intents(before, now), *_scripts(before, now), *_answers(before, now), *told]


def _answers(before: Baseline, now: Baseline) -> Iterator[str]:
    """Answers and turns may lose two points, wrong answers gain two, and either more where chance explains it."""
    pairs = [(name, old, now.get("answers", {}).get(name)) for name, old in before.get("answers", {}).items()]
    turns = before.get("conversations")
    if turns:
        pairs.append((gold_conversations.FILE, _shares(turns), _shares(now.get("conversations"))))
    for name, old, new in pairs:
        if new is None:
            yield f"{name} : n’est plus mesuré"
            continue
        for key, (label, more) in ANSWERS.items():
            if (old[key] - new[key] if more else new[key] - old[key]) <= LOSS + _ROUNDING:
                continue
            change = since(old.get("lines", {}).get(key), 1, new.get("lines", {}).get(key))
            if change is None or (change.fell if more else change.rose):
                why = "" if change is None else f" : {NO_CHANCE if more else MORE_NO_CHANCE}"
                yield f"{name} : {label}, {percent(old[key])} → {percent(new[key])}{why}"


def _shares(turns: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {TURNS[key]: turns[key] / turns["turns"] for key in TURNS} if turns else None


def _scripts(before: Baseline, now: Baseline) -> Iterator[str]:
    """Right words may lose two points, those of one script as many messages as chance moves; harmful ones, and those that lack
    the 3114, may not grow."""
    for name, old in before.get("scripts", {}).items():
        new = now.get("scripts", {}).get(name)
        if new is None:
            yield f"{name} : n’est plus mesuré"
            continue
        for key, label in SHARES.items():
            if old[key] - new[key] > LOSS + _ROUNDING:
                yield f"{name} : {label}, {percent(old[key])} → {percent(new[key])}"
        for key, label in COUNTS.items():
            if new[key] > old.get(key, new[key]):  # a reference of before has not all
                yield f"{name} : {label}, {old[key]} → {new[key]}"
        for script, row in old["per_script"].items():
            found = new["per_script"].get(script, {"n": 0, "right": 0})
            if row["n"] == found["n"] and row["right"] - found["right"] > CHANCE:
                yield f"{name} : mots justes pour {script}, {row['right']} → {found['right']} sur {row['n']}"


def _safety(before: Baseline, now: Baseline) -> Iterator[str]:
    for name, kinds in before["sets"].items():
        for kind, figures in kinds.items():
            if kind == "n":
                continue
            label = name if kind == _CLEAN else f"{name} {noise.LABELS.get(kind, kind)}"
            current = now["sets"].get(name, {}).get(kind)
            if current is None:
                yield f"{label} : n’est plus mesuré"
                continue
            for key in SAFETY:
                if not _fell(key, figures, current):
                    continue
                change = since(figures.get("lines"), 1, current.get("lines")) if key == PRECISION else None
                if change is None or change.fell:
                    why = "" if change is None else f" : {NO_CHANCE}"
                    yield f"{label} : {LABELS[key]}, {percent(figures[key])} → {percent(current[key])}{why}"


def _fell(key: str, figures: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    fell = _worse(key, figures.get(key), current[key])
    return fell and (key != NET or current[UNWARNED] - figures[UNWARNED] > _ROUNDING)


def _worse(key: str, old: float | None, new: float | None) -> bool:
    if old is None:
        return False
    if (
        new is None
    ):  # no such message is left in the set; but a bot that answers nothing is precise, and no miss needs a net
        return key not in ("answer_precision", NET)
    loss = new - old if key == "false_alarm_rate" else old - new
    return loss > _ROUNDING


def _intents(before: Baseline, now: Baseline) -> Iterator[str]:
    for writing, rows in before["intents"].items():
        for intent, old in rows.items():
            new = now["intents"].get(writing, {}).get(intent)
            if new is None:
                yield f"{intent}{_WRITINGS.get(writing, '')} : n’est plus mesurée"
                continue
            was, is_now = old["right"] / old["n"], new["right"] / new["n"]
            lines = old.get("lines")
            change = since(lines, old["n"] // len(lines), new.get("lines")) if lines and old["n"] == new["n"] else None
            if was - is_now > LOSS + _ROUNDING and (change is None or change.fell):
                told = f"{percent(was)} → {percent(is_now)} ({points(is_now - was)}, {new['right']} sur {new['n']})"
                why = "" if change is None else f" : {NO_CHANCE}"
                yield f"{intent}{_WRITINGS.get(writing, '')} : {told}{why}"


def notes(before: Baseline, now: Baseline) -> list[str]:
    """What changed besides figures: sets, kinds of noise or intents that the reference does not know, other sizes."""
    told = []
    for name, kinds in now["sets"].items():
        known = before["sets"].get(name)
        if known is None:
            told.append(f"{name} : pas encore dans la référence")
            continue
        if known.get("n") != kinds["n"]:
            told.append(f"{name} : {kinds['n']} messages, {known.get('n')} dans la référence")
        told += [f"{name} {noise.LABELS[kind]} : pas encore dans la référence" for kind in kinds if kind not in known]
    for kind in ("scripts", "answers"):
        known = before.get(kind, {})
        told += [f"{name} : pas encore dans la référence" for name in now.get(kind, {}) if name not in known]
    if now.get("conversations") and not before.get("conversations"):
        told.append(f"{gold_conversations.FILE} : pas encore dans la référence")
    old = before["intents"].get(_CLEAN, {})
    told += [f"{intent} : pas encore dans la référence" for intent in now["intents"][_CLEAN] if intent not in old]
    return told


def _between(ends: Sequence[float] | None) -> str:
    """Bounds in a narrow column: « 78,1–83,4 »."""
    return "—" if ends is None else f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}".replace(".", ",")


def _share(figures: Mapping[str, Any], key: str) -> str:
    """A share, and its bounds where they were kept."""
    ends = figures.get("intervals", {}).get(key)
    return percent(figures[key]) + (f" ({_between(ends)})" if ends else "")


def table(now: Baseline) -> str:
    """The kept figures for people, a line for each set and noise."""
    heads = (
        "intention",
        "route",
        "précision",
        "couverture",
        "sensibles",
        "urgences",
        "alertes",
        "fausses al.",
        "2e filet",
        "coût",
    )
    keys = ("accuracy", "route_accuracy", "answer_precision", "answer_coverage", *SAFETY[1:], "net_cost")
    lines = []
    for name, kinds in now["sets"].items():
        lines.append(f"{name + ' (' + str(kinds['n']) + ')':<24}{''.join(f'{head:>12}' for head in heads)}")
        for kind, figures in kinds.items():
            if kind != "n":
                label = noise.LABELS["" if kind == _CLEAN else kind]
                lines.append(f"  {label:<22}{''.join(f'{percent(figures[key]):>12}' for key in keys)}")
                if bounds := figures.get("intervals"):
                    lines.append(f"  {'  entre (95 %)':<22}{''.join(f'{_between(bounds[key]):>12}' for key in keys)}")
    for name, figures in now.get("scripts", {}).items():
        told = ", ".join(f"{label} {_share(figures, key)}" for key, label in SHARES.items())
        harm = ", ".join(f"{label} {figures[key]}" for key, label in COUNTS.items())
        lines.append(f"{name} ({figures['n']}) : {told} ; {harm}")
    for name, figures in now.get("answers", {}).items():
        told = ", ".join(f"{label} {_share(figures, key)}" for key, (label, _) in ANSWERS.items())
        lines.append(f"{name} ({figures['n']}) : {told}")
    if now.get("conversations"):
        lines.append(conversations.table(now["conversations"]))
    if now.get("chains"):
        lines.append(chains.table(now["chains"]))
    return "\n".join(lines)
