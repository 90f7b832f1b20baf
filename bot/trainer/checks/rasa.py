"""What `rasa data validate` says, in French. It runs in the engine's environment, some ten seconds, and trains nothing.

It imports whatever `config.yml` names, hence runs behind the wall (`bot.trainer.wall`).

Most of what it finds the other checks have found already, with a line; it is asked because it reads the files as the training will.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

from bot.core import program
from bot.core.errors import SetupError
from bot.trainer.checks.files import CONFIG, DOMAIN, RULES, STORIES
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.corpus import NLU
from bot.trainer.errors import BadFile
from bot.trainer.project import Project
from bot.trainer.wall import AUTO, Given, Program, choose

CODE = "rasa"
PATIENCE = 300.0  # seconds; ten are usual, a minute when the machine is busy
WORDS = ("data", "validate", "--domain", DOMAIN, "--config", CONFIG, "--data", "data")
COMMAND = ("-m", "rasa", *WORDS)  # as people type it
QUICK = ("-m", "bot.engine.cli", *WORDS)  # which says the same
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# Where one message begins: a warning of Python's, or a line of the log.
_BEGIN = re.compile(
    r"^(?:\S+:\d+: (?P<kind>\w*Warning): |\d{4}-\d\d-\d\d [\d:]+ (?P<level>[A-Z]+) +(?P<logger>[\w.]+) +- )",
    re.MULTILINE,
)
_QUOTED = re.compile(r"'([^'\n]{1,80})'")


class Rule(NamedTuple):
    """One message of Rasa's: the pattern, what it is in French (None: others say it, with a line), where it stands."""

    pattern: re.Pattern[str]
    what: Optional[str] = None
    remedy: str = ""
    files: tuple[str, ...] = ()
    make: Callable[..., Finding] = error


_STEPS = (STORIES, RULES)
_RULES = (
    Rule(re.compile(r"The utterance '.*' is not used in any story or rule")),
    # A file of the catalogue has replies, so that Rasa takes it for a second domain that names the same intents.
    Rule(re.compile(r"The following duplicated intents have been found across multiple domain files")),
    Rule(re.compile(r"The example '.*' was found labeled with multiple", re.DOTALL)),
    Rule(
        re.compile(r"Story structure conflict after \w+ '(?P<name>[^']+)':(?P<rest>.*)", re.DOTALL),
        "des histoires se contredisent après « {name} » : {conflict}.",
        "Corrigez l’une d’elles : les mêmes messages doivent avoir la même suite.",
        (STORIES,),
    ),
    Rule(
        re.compile(r"Story structure conflict at the beginning of stories:(?P<rest>.*)", re.DOTALL),
        "des histoires se contredisent dès le début : {conflict}.",
        "Corrigez l’une d’elles.",
        (STORIES,),
    ),
    Rule(
        re.compile(r"Found intent '(?P<name>[^']+)' in stories which is not part of the domain"),
        "l’intention « {name} » n’existe pas dans domain.yml.",
        "Corrigez son nom, ou ajoutez-la à la liste « intents » de domain.yml.",
        _STEPS,
    ),
    Rule(
        re.compile(r"The intent '(?P<name>[^']+)' is used in your stories, but it is not listed"),
        "l’intention « {name} » n’existe pas dans domain.yml.",
        "Corrigez son nom, ou ajoutez-la à la liste « intents » de domain.yml.",
        _STEPS,
    ),
    Rule(
        re.compile(
            r"The action '(?P<name>[^']+)' is used in (?:the|your) .{0,200}(?:not listed|not a valid utterance)",
            re.DOTALL,
        ),
        "l’action ou la réponse « {name} » n’existe pas dans domain.yml.",
        "Corrigez son nom, ou ajoutez-la sous « responses » ou « actions » de domain.yml.",
        _STEPS,
    ),
    Rule(
        re.compile(r"labeled with intent '(?P<name>[^']+)'\. This intent is not listed"),
        "l’intention « {name} » n’existe pas dans domain.yml.",
        "Corrigez son nom, ou ajoutez-la à la liste « intents » de domain.yml.",
        (NLU,),
    ),
    Rule(
        re.compile(r"The intent '(?P<name>[^']+)' is listed in the domain file, but is not found"),
        "l’intention « {name} » n’a aucun exemple.",
        "Ajoutez-lui des exemples dans data/nlu.yml, ou retirez-la de domain.yml.",
        (DOMAIN,),
    ),
    Rule(
        re.compile(r"The intent '(?P<name>[^']+)' is not used in any story or rule"),
        "l’intention « {name} » n’est dans aucune règle ni histoire.",
        "Ajoutez-lui une règle dans data/rules.yml.",
        (DOMAIN,),
        warning,
    ),
    Rule(
        re.compile(r"Tried to set non existent slot '(?P<name>[^']+)'"),
        "l’emplacement « {name} » n’existe pas dans domain.yml.",
        "Corrigez son nom, ou ajoutez-le sous « slots » de domain.yml.",
        _STEPS,
    ),
    Rule(
        re.compile(r"The form '(?P<name>[^']+)' is used"),
        "le formulaire « {name} » n’existe pas dans domain.yml.",
        "Planton n’a pas de formulaires : retirez « active_loop ».",
        _STEPS,
    ),
    Rule(
        re.compile(r"The form slot '(?P<name>[^']+)'|Slot '(?P<other>[^']+)' has a mapping condition"),
        "l’emplacement « {name} » dépend d’un formulaire qui n’existe pas.",
        "Retirez cette condition de domain.yml.",
        (DOMAIN,),
    ),
    Rule(
        re.compile(r"The config file is missing (?:the|a unique value for the) '(?P<name>[^']+)'"),
        "la clé « {name} » manque.",
        "Rétablissez config.yml depuis git.",
        (CONFIG,),
    ),
)


def check(project: Project, known: Collection[Finding] = (), way: str = AUTO) -> list[Finding]:
    """What Rasa finds beside what is `known`. `way`: ENGINE_WALL. Blocks for ten seconds and more."""
    root = project.root.resolve()
    code = program.of(root)
    python = code / ".venv-engine" / "bin" / "python"
    if not python.exists():
        return [
            warning(
                CODE, CONFIG, None, "le moteur n’est pas installé : Rasa n’a rien vérifié.", "Faites : make install"
            )
        ]
    try:
        wall = choose(way, Program(python, [code / name for name in ("bot", "actions")]))
    except SetupError as problem:
        return [warning(CODE, CONFIG, None, f"Rasa n’a rien vérifié : {problem.what}", problem.remedy)]
    given = [root / name for name in (CONFIG, DOMAIN, "data") if (root / name).exists()]
    start = wall.start([python, *QUICK], _environ(code), Given(given, cwd=root))
    try:
        done = subprocess.run(
            start.words,
            cwd=root,
            env=start.environ,
            preexec_fn=start.prepare,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return [
            warning(
                CODE,
                CONFIG,
                None,
                "Rasa n’a pas fini de vérifier en cinq minutes.",
                "Relancez quand la machine est plus libre.",
            )
        ]
    found = list(translated(done.stdout.decode("utf-8", "replace"), done.returncode, _Places(project), known))
    if not wall.whole:
        found.append(
            warning(CODE, CONFIG, None, wall.told, "Faites : apt install bubblewrap, et laissez ENGINE_WALL à auto")
        )
    return found


def translated(
    said: str, code: int, place: Callable[[str, str], Optional[int]], known: Collection[Finding] = ()
) -> Iterator[Finding]:
    """The findings of an output. `place(file, name)`: the line where a file names something."""
    told: set[str] = set()
    for message in _messages(said):
        found = _translate(message, place)
        if found is not None and found.what not in told and not any(same(found, other) for other in known):
            told.add(found.what)
            yield found
    if "Traceback (most recent call last)" in said:
        yield _crash(said, place)
    elif code and not told and not known:
        yield _unknown(said)


def _messages(said: str) -> Iterator[str]:
    plain = _ANSI.sub("", said.replace("\r", "\n"))
    begins = list(_BEGIN.finditer(plain))
    ends = [*(each.start() for each in begins[1:]), len(plain)]
    for begin, end in zip(begins, ends, strict=False):
        if begin["kind"] == "UserWarning" or begin["level"] in ("WARNING", "ERROR", "CRITICAL"):
            yield plain[begin.end() : end].strip()


def _translate(message: str, place: Callable[[str, str], Optional[int]]) -> Optional[Finding]:
    flat = re.sub(r"\s+", " ", message)
    for rule in _RULES:
        match = rule.pattern.search(message) or rule.pattern.search(flat)
        if match is None:
            continue
        if rule.what is None:
            return None
        groups = match.groupdict()
        name = groups.get("name") or groups.get("other") or ""
        conflict = _conflict(groups.get("rest") or "")
        wanted = conflict[0] if conflict else name
        file, line = next(
            ((file, line) for file in rule.files if (line := place(file, wanted)) is not None), (rule.files[0], None)
        )
        return rule.make(
            CODE, file, line, rule.what.format(name=name, conflict=conflict[1] if conflict else ""), rule.remedy
        )
    return _unknown(flat)


def _conflict(rest: str) -> Optional[tuple[str, str]]:
    """(a story's name, all in French) of « action_a predicted in 'one' and 'two' » lines."""
    parts = re.findall(r"(\S+) predicted in ([^\n]+)", rest)
    if not parts:
        return None
    told = [f"{action} dans {', '.join(f'« {name} »' for name in _QUOTED.findall(names))}" for action, names in parts]
    names = _QUOTED.findall(parts[-1][1])
    return (names[0] if names else ""), " ; ".join(told)


def _unknown(message: str) -> Finding:
    """Something else: its English is left to whoever runs the command, the names in it are told."""
    names = list(dict.fromkeys(_QUOTED.findall(message)))[:4]
    file = next((name for name in (STORIES, RULES, DOMAIN, NLU, CONFIG) if name in message), DOMAIN)
    about = f" à propos de {', '.join(f'« {name} »' for name in names)}" if names else ""
    return warning(
        CODE,
        file,
        None,
        f"Rasa signale une anomalie{about}.",
        f"Relisez ce qui porte ce nom ; le détail, en anglais : .venv-engine/bin/python {' '.join(COMMAND)}",
    )


def _crash(said: str, place: Callable[[str, str], Optional[int]]) -> Finding:
    last = next((line for line in reversed(_ANSI.sub("", said).strip().splitlines()) if line.strip()), "")
    names = list(dict.fromkeys(_QUOTED.findall(last)))[:4]
    files = (STORIES, RULES, DOMAIN, NLU, CONFIG)
    file = next((name for name in files if name in last), None) or next(
        (name for name in files if name in said), DOMAIN
    )
    about = f", à cause de {', '.join(f'« {name} »' for name in names)}" if names else ""
    return error(
        CODE,
        file,
        place(file, names[0]) if names else None,
        f"Rasa ne peut pas lire les fichiers{about} : l’entraînement échouerait.",
        f"Relisez ce passage, ou rétablissez le fichier depuis git ; le détail : .venv-engine/bin/python {' '.join(COMMAND)}",
    )


def same(found: Finding, other: Finding) -> bool:
    """Whether another check has said this already: the same sentence, or a contradiction of the same stories."""
    if other.what == found.what:
        return True
    names = set(re.findall(r"« ([^»]+) »", found.what))
    return (
        other.code == "contradiction"
        and "contredisent" in found.what
        and bool(names)
        and any(f"« {name} »" in other.what for name in names)
    )


class _Places:
    """The first line of a file that has a name as a word."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._texts: dict[str, str] = {}

    def __call__(self, file: str, name: str) -> Optional[int]:
        if not name:
            return None
        if file not in self._texts:
            try:
                self._texts[file] = self._project.read(file)
            except BadFile:
                self._texts[file] = ""
        found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", self._texts[file])
        return None if found is None else self._texts[file].count("\n", 0, found.start()) + 1


def _environ(code: Path) -> Mapping[str, str]:
    """Without what is ours to know: settings may hold secrets."""
    return {
        **program.harmless(os.environ),
        "PYTHONPATH": str(code),  # config.yml names parts of it
        "RASA_TELEMETRY_ENABLED": "false",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONWARNINGS": "default",
        "COLUMNS": "1000",
        "TQDM_DISABLE": "1",
    }
