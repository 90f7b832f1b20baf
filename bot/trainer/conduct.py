"""One training from end to end: copy the inputs, train aside, measure both models, compare. Blocks; a thread runs it.

Nothing here knows a database or a page: `planton compare` and the role `trainer` use it alike.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core import catalogue, program, served
from bot.trainer.answer_comparison import Answered, AnswerGold, AnswersCompared, compare_answers
from bot.trainer.candidates import CANDIDATES, Card, Model, current
from bot.trainer.comparison import CONFIRMED, EMERGENCY, FOLDS, INTENTS, Comparison, SetComparison, Words, compare_folds
from bot.trainer.errors import NoGit, TrainerError
from bot.trainer.figures import Judged
from bot.trainer.gold import Case, ScriptCase, known_intents, read, read_scripts
from bot.trainer.memory import Peak
from bot.trainer.project import RECORDED, Project
from bot.trainer.script_figures import ScriptJudged
from bot.trainer.wall import OPEN, Given, Wall
from bot.trainer.yardstick import COUNTS, deciding, digest

SIGN = "\x1e"  # bot/engine/train.py: begins a line for the program that reads it
# The stages, in order, with the seconds that each takes where no earlier run tells (2 cores, at the lowest priority).
STAGES: Mapping[str, float] = {
    "copying": 1,
    "checking": 15,
    "reading": 20,
    "learning": 240,
    "danger": 60,
    "candidate": 90,
    "current": 60,
    "answers": 45,
    "comparing": 5,
}
GOLD = {INTENTS: "tests/gold/intents.tsv", EMERGENCY: "tests/gold/emergency.tsv"}
SCRIPTS = "tests/gold/scripts.tsv"
ANSWERS = "answers"  # the stage where the catalogue's answers are measured; none without such sets
MEASURED = ".measured"  # what the model in service made of each set, and every model of those of answers, in `models/`
KEPT_MEASURES = 12
KEPT = 5  # candidates
ABANDONED = 6 * 3600  # seconds
CODE = ("bot", "actions")  # the program: the same for every folder


class Stopped(Exception):
    """Somebody asked for the end."""


class Halt:
    """Ends a training at once, from any thread: its process gets SIGKILL, and takes its own children with it."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._process: subprocess.Popen[Any] | None = None
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Ask for the end."""
        with self._lock:
            self._asked.set()
            self._end()

    @property
    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._asked.is_set()

    def check(self) -> None:
        """Raises Stopped once the end was asked for."""
        if self.asked:
            raise Stopped

    def watch(self, process: subprocess.Popen[Any]) -> None:
        """The process that runs now."""
        with self._lock:
            self._process = process
            if self.asked:
                self._end()

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


Report = Callable[[str, float, Mapping[str, Any]], None]  # stage, share of it from 0 to 1, what it has to tell
# What a model makes of cases; `started` is given the process, `seen` how many are done. Raises Explained.
Measure = Callable[
    [Sequence[Case], Model, Callable[[subprocess.Popen[bytes]], None], Callable[[int], None]], list[Judged]
]
# The same, of whose words it says to them.
MeasureWords = Callable[[Sequence[ScriptCase], Model, Callable[[subprocess.Popen[bytes]], None]], list[ScriptJudged]]
# The same, of what it answers out of the catalogue, in the order of `AnswerGold.asked`.
MeasureAnswers = Callable[[AnswerGold, Model, Callable[[subprocess.Popen[bytes]], None]], list[Answered]]


@dataclass(frozen=True)
class Order:
    """What is asked for. `confirmed`: cases from citizens, in memory only, with the numbers of their events. `waiting`: asked just
    before old candidates are forgotten, the hashes of those that somebody waits for; None: nobody knows. Blocks."""

    project: Project
    author: str
    made_at: str
    confirmed: Sequence[Case] = ()
    events: Sequence[int] = ()
    training: int = 0
    no_confirmed: str = "aucun message confirmé ce dernier mois"
    waiting: Callable[[], Collection[str] | None] = lambda: ()


@dataclass(frozen=True)
class Outcome:
    """What came of it. `comparison` is None when the model in service is made of these very inputs (`unchanged`)."""

    candidate: str
    current: str
    comparison: Comparison | None
    seconds: Mapping[str, float] = field(default_factory=dict)
    memory: int = 0

    @property
    def unchanged(self) -> bool:
        """Whether there was nothing to train."""
        return self.comparison is None


@dataclass(frozen=True)
class Inputs:
    """What a training stands for. `commit`: the present one, "" without git; `diff`: what the files change against it."""

    commit: str
    diff: str


def recorded(project: Project) -> dict[str, bytes]:
    """What is read beside a model, as git recorded it last; the present files without git."""
    names = [*served.NAMES, *_recorded_names(project)]
    try:
        found = project.recorded(names)
    except NoGit:
        found = dict.fromkeys(names)
    return {name: project.read(name).encode() if content is None else content for name, content in found.items()}


def _recorded_names(project: Project) -> list[str]:
    """The files of `served.FOLDERS` that git recorded last; the present ones without git."""
    try:
        listed = project.git("ls-tree", "-r", "--name-only", "HEAD", "--", *(f"./{name}" for name in served.FOLDERS))
    except NoGit:
        return catalogue.names(project.root)
    return [name for name in listed.splitlines() if name.endswith(".yml")]


DIFF_LIMIT = 200_000  # characters


def inputs(project: Project) -> Inputs:
    """The commit and the changes that the present files stand for; both empty without git. Blocks."""
    try:
        commit = project.head()
        diff = project.git("diff", "--no-color", "HEAD", "--", *RECORDED)
    except NoGit:
        return Inputs("", "")
    if len(diff) > DIFF_LIMIT:
        diff = diff[:DIFF_LIMIT] + "\n… (la suite est trop longue pour être montrée)\n"
    return Inputs(commit, diff)


class Conductor:
    """Trains and compares. `python`: the engine's interpreter; `environ`: its environment; `frugal`: spare memory; `var`: VAR_DIR,
    where the launcher says which model serves; `wall`: what the engine runs behind, asked for at each start; `words`: judges whose
    words messages get, `answers`: which question is answered; None: that is not measured."""

    def __init__(
        self,
        python: Path,
        environ: Mapping[str, str],
        measure: Measure,
        report: Report,
        halt: Halt | None = None,
        frugal: bool = True,
        var: Path | None = None,
        wall: Callable[[], Wall] = lambda: OPEN,
        words: MeasureWords | None = None,
        answers: MeasureAnswers | None = None,
    ) -> None:
        self._wall = wall
        self._words_of = words
        self._answers_of = answers
        self._python = python
        self._var = var
        self._environ = {**environ, "PLANTON_PDEATHSIG": "1"}
        self._measure = measure
        self._tell = report
        self._halt = halt or Halt()
        self._frugal = frugal
        self._began: tuple[str, float] | None = None
        self._seconds: dict[str, float] = {}
        self._examples = 0
        self._memory = 0

    def run(self, order: Order) -> Outcome:
        """Do it all. Raises Explained with what trainers must correct, Stopped when the end was asked for."""
        try:
            return self._run(order)
        except Stopped:
            raise
        except Exception:
            self._halt.check()  # a process that was ended on purpose fails in its own way
            raise

    def _run(self, order: Order) -> Outcome:
        root = order.project.root
        # Citizens' messages would be named by their intents alone; nothing of them is written.
        folder = root / "models" / CANDIDATES / f".snapshot-{order.training or os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        _forget_abandoned(folder.parent)
        try:
            self._stage("copying")
            snapshot = self._copy(order.project, folder / "candidate")
            serving = current(root, self._var)
            name = self._fingerprint(snapshot)
            if serving is not None and serving.hash == name:
                self._stage("")
                return Outcome(name, name, None, self._seconds)
            archive = self._train(snapshot, folder / "made", name, order.waiting)
            candidate = Model(archive, snapshot)
            before = (
                Model(serving.archive, self._served(order.project, serving, folder / "current")) if serving else None
            )
            comparison = self._compare(order, before, candidate, serving)
            self._stage("")
            outcome = Outcome(
                candidate.hash, serving.hash if serving else "", comparison, dict(self._seconds), self._memory
            )
            self._leave_card(order, candidate, outcome)
            return outcome
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -- before ----------------------------------------------------------------------------------------------------

    def _copy(self, project: Project, folder: Path) -> Path:
        """The inputs as they are at one moment; the program itself is the same for every folder."""
        folder.mkdir(parents=True)
        with project.lock():
            for name in ("config.yml", "domain.yml", "endpoints.yml", "credentials.yml"):
                if (project.root / name).exists():
                    shutil.copy(project.root / name, folder / name)
            shutil.copytree(project.root / "data", folder / "data", ignore=shutil.ignore_patterns(".*"))
            if (project.root / "tests" / "gold").exists():
                shutil.copytree(project.root / "tests" / "gold", folder / "tests" / "gold")
        _link(project.root, folder)
        return folder

    def _served(self, project: Project, serving: Model, folder: Path) -> Path:
        """The replies and the lexicon that go with the model in service: its own copies; a model without them has what git recorded
        last; without git, the present ones."""
        own = served.read(serving.files) if serving.files != serving.root else recorded(project)
        for name, content in own.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        _link(project.root, folder)
        return folder

    def _fingerprint(self, root: Path) -> str:
        done = self._engine(root, "fingerprint")
        name = "".join(done).strip()
        if len(name) != 16 or not name.isalnum():
            raise TrainerError("Le moteur ne sait pas nommer le modèle.", "Faites : make install")
        return name

    # -- training --------------------------------------------------------------------------------------------------

    def _train(self, snapshot: Path, made: Path, name: str, waiting: Callable[[], Collection[str] | None]) -> Path:
        """Into `made`, the one folder that the engine may write to; what it left there is looked at, and taken in by us."""
        candidates = made.parents[1]
        there = candidates / f"{name}.tar.gz"
        if there.exists() and Model(there, snapshot).score.exists() and tarfile.is_tarfile(there):
            served.mend(there, served.read(snapshot))
            os.utime(there)
            return there  # trained already
        made.mkdir()
        wrong: dict[str, Any] = {}
        command = ["train", "--out", str(made), "--signs", *(["--frugal"] if self._frugal else [])]
        meanings = candidates.parent / served.MEANINGS  # read by the engine behind its wall, and not written there
        earlier = [meanings] if meanings.exists() else []
        command += ["--meanings", str(meanings)] if earlier else []
        for line in self._engine(snapshot, *command, wrong=wrong, write=made, beside=earlier):
            if not line.startswith(SIGN):
                continue
            sign = json.loads(line[1:])
            stage = sign.pop("stage")
            if stage == "failed":
                wrong.update(sign)
            elif stage in STAGES:
                self._examples = sign.get("examples", self._examples)
                self._stage(stage, **sign)
        return take_in(made, there, served.read(snapshot), waiting)

    def _engine(
        self,
        root: Path,
        *arguments: str,
        wrong: Mapping[str, Any] | None = None,
        write: Path | None = None,
        beside: Sequence[Path] = (),
    ) -> Iterator[str]:
        """Lines that the engine prints. Raises TrainerError when it fails, with its own words."""
        self._halt.check()
        if not self._python.exists():
            raise TrainerError("Le moteur n’est pas installé sur cette machine.", "Faites : make install")
        linked = [(root / name).resolve() for name in CODE]
        start = self._wall().start(
            [self._python, "-m", "bot.engine", *arguments, "--root", str(root)],
            self._environ,
            Given([root, *linked, *beside], write, root),
        )
        with subprocess.Popen(
            start.words,
            cwd=root,
            env=start.environ,
            preexec_fn=start.prepare,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            self._halt.watch(process)
            said: list[str] = []
            assert process.stderr is not None
            assert process.stdout is not None
            errors = process.stderr
            drain = threading.Thread(target=lambda: said.extend(errors), daemon=True)
            drain.start()
            try:
                with Peak(process.pid) as peak:
                    yield from process.stdout
                    code = process.wait()
            finally:
                process.kill()
                process.wait()
            self._memory = max(self._memory, peak.highest)
            drain.join()
        self._halt.check()
        if code:
            raise _failure(code, wrong or {}, said, root)

    # -- measuring -------------------------------------------------------------------------------------------------

    def _compare(self, order: Order, before: Model | None, after: Model, serving: Model | None) -> Comparison:
        yardstick = digest(after.root)  # first: what changes while it is measured makes the comparison stale
        cases = self._cases(order, after.root)
        self._stage("candidate")
        ours, words = self._judge(after, cases), self._words(after, after.root)
        self._stage("current")
        theirs = self._judged_before(before, cases, order) if before else {}
        words_before = self._words(before, after.root) if before else None
        answers = self._answers(order, before, after)
        self._stage("comparing")
        notes = []
        sets = []
        for name, some in cases.items():
            events = order.events if name == CONFIRMED else ()
            if not some:
                why = order.no_confirmed if name == CONFIRMED else "ce jeu n’existe pas dans ce dossier"
                sets.append(SetComparison.absent(name, why))
            elif name in theirs:
                sets.append(SetComparison.of(name, theirs[name], ours[name], events))
            else:
                sets.append(SetComparison.alone(name, ours[name], "aucun modèle n’est en service"))
        folds = after.folds()
        if folds is None:
            sets.append(SetComparison.absent(FOLDS, "config.yml emploie un autre classificateur que celui de Planton"))
        else:
            sets.append(compare_folds(serving.folds() if serving else None, folds))
            notes.append(
                "Validation croisée : la confiance y est un peu flattée, car elle est réglée sur ces mêmes exemples ; "
                "l’intention choisie, elle, vient d’un modèle qui n’avait pas vu l’exemple."
            )
        return Comparison(
            serving.hash if serving else "",
            after.hash,
            tuple(sets),
            tuple(notes),
            yardstick,
            words_before,
            words,
            answers,
        )

    def _words(self, model: Model, root: Path) -> Words | None:
        """Whose words a model's emergencies get; None where there is no such set, or nobody measures it."""
        path = root / SCRIPTS
        if self._words_of is None or not path.exists():
            return None
        judged = self._words_of(read_scripts(path), model, self._halt.watch)
        self._halt.check()
        return Words.of(judged)

    def _answers(self, order: Order, before: Model | None, after: Model) -> tuple[AnswersCompared, ...]:
        """What both models answer out of the catalogue; () where there is no such set, or nobody measures it."""
        gold = AnswerGold.read(after.root)
        if self._answers_of is None or not gold.asked:
            return ()
        self._stage(ANSWERS)
        ours = self._answered(self._answers_of, order, after, gold)
        theirs = self._answered(self._answers_of, order, before, gold) if before else None
        titles = {
            name: one.question
            for model in (before, after)
            if model is not None
            for name, one in catalogue.read(model.files).questions.items()
        }
        return compare_answers(gold.asked, theirs, ours, titles)

    def _answered(self, measure: MeasureAnswers, order: Order, model: Model, gold: AnswerGold) -> list[Answered]:
        """What one model answers, from an earlier measure where nothing changed since."""
        asked = [[one.name, one.text, one.questions, one.every] for one in gold.asked]
        cache = _Measures(order.project.root / "models" / MEASURED, model.hash)
        key = _key(asked, model.root)
        known = cache.read(ANSWERS, key, len(asked))
        if known is not None:
            return [Answered(*row) for row in known]
        fresh = measure(gold, model, self._halt.watch)
        self._halt.check()
        rows = [[one.question, one.exact, one.reachable, one.wrong] for one in fresh]
        cache.write({ANSWERS: (key, rows)})
        return fresh

    def _cases(self, order: Order, root: Path) -> dict[str, list[Case]]:
        known_intents.cache_clear()
        found = {
            name: read(root / file, root / "domain.yml") if (root / file).exists() else []
            for name, file in (
                (EMERGENCY, GOLD[EMERGENCY]),
                (INTENTS, GOLD[INTENTS]),
            )
        }
        return {**found, CONFIRMED: list(order.confirmed)}

    def _judge(self, model: Model, cases: Mapping[str, Sequence[Case]]) -> dict[str, list[Judged]]:
        """All sets by one start of the engine."""
        everything = [case for some in cases.values() for case in some]
        if not everything:
            return {}
        stage = self._began[0] if self._began else "candidate"

        def seen(count: int) -> None:
            if count % 20 == 0:
                self._halt.check()
                self._tell(stage, count / len(everything), {})

        judged = iter(self._measure(everything, model, self._halt.watch, seen))
        self._halt.check()
        return {name: [next(judged) for _ in some] for name, some in cases.items()}

    def _judged_before(
        self, model: Model, cases: Mapping[str, Sequence[Case]], order: Order
    ) -> dict[str, list[Judged]]:
        """What the model in service makes of the sets, from an earlier measure where nothing changed since."""
        keys = {name: _key(_asked(name, some, order), model.root) for name, some in cases.items() if some}
        cache = _Measures(order.project.root / "models" / MEASURED, model.hash)
        known = {
            name: [Judged(case, *row) for case, row in zip(cases[name], rows, strict=True)]
            for name, key in keys.items()
            if (rows := cache.read(name, key, len(cases[name]))) is not None
        }
        missing = {name: some for name, some in cases.items() if some and name not in known}
        fresh = self._judge(model, missing)
        cache.write({name: (keys[name], [_row(one) for one in judged]) for name, judged in fresh.items()})
        return {**known, **fresh}

    # -- after -----------------------------------------------------------------------------------------------------

    def _leave_card(self, order: Order, candidate: Model, outcome: Outcome) -> None:
        comparison = outcome.comparison
        assert comparison is not None
        figures = {each.name: dict(each.candidate.shares) for each in comparison.sets if each.candidate}
        Card(
            hash=candidate.hash,
            author=order.author,
            made_at=order.made_at,
            commit=inputs(order.project).commit,
            figures=figures,
            memory=outcome.memory,
            seconds=round(sum(outcome.seconds.values()), 1),
            training=order.training,
            examples=self._examples,
        ).write(candidate.card)

    def _stage(self, stage: str, **more: Any) -> None:
        """The next stage begins; "" ends the last one."""
        now = time.monotonic()
        if self._began is not None:
            name, since = self._began
            self._seconds[name] = round(self._seconds.get(name, 0.0) + now - since, 1)
        self._began = (stage, now) if stage else None
        self._halt.check()
        if stage:
            self._tell(stage, 0.0, more)


def take_in(
    made: Path, there: Path, files: Mapping[str, bytes], waiting: Callable[[], Collection[str] | None] = lambda: ()
) -> Path:
    """Move a model from the folder of who trained it to the candidates, the archive last; the oldest are forgotten, but for those
    that somebody waits for (`Order.waiting`). `files`: what it was made from, of our own copy.

    Raises TrainerError where something else lies there than two plain files.
    """
    score = Model(there, made).score
    drafts = {target: there.with_name(f".{target.name}.part") for target in (score, there)}
    try:
        for target, draft in drafts.items():
            _copy(made / target.name, draft)
        os.replace(drafts[score], score)
        served.mend(there, files)
        os.replace(drafts[there], there)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    found = sorted(there.parent.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime, reverse=True)
    spared = waiting() if found[KEPT:] else ()
    for old in found[KEPT:]:
        model = Model(old, made)
        if spared is None or model.hash in spared:
            continue
        for path in (old, model.score, model.card):
            path.unlink(missing_ok=True)
        served.forget(old)
    return there


def _copy(source: Path, target: Path) -> None:
    """Of a plain file, whatever is done to its folder meanwhile: whoever left it there is not believed."""
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise _nothing() from None
    with open(fd, "rb") as given, target.open("wb") as out:
        if not stat.S_ISREG(os.fstat(given.fileno()).st_mode):
            raise _nothing()
        shutil.copyfileobj(given, out, 1 << 20)


def _nothing() -> TrainerError:
    return TrainerError(
        "L’entraînement n’a pas laissé de modèle.", "Relancez l’essai ; vérifiez la place sur le disque."
    )


def _forget_abandoned(candidates: Path) -> None:
    """Copies that a killed process left."""
    for folder in candidates.glob(".snapshot-*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)


def _link(root: Path, folder: Path) -> None:
    for name in CODE:
        (folder / name).symlink_to((program.of(root) / name).resolve())


def _failure(code: int, wrong: Mapping[str, Any], said: Sequence[str], snapshot: Path) -> TrainerError:
    """What the engine said, without the name of the folder that nobody knows."""
    lines = [line.strip().replace(f"{snapshot}/", "") for line in said if line.strip()]
    if wrong:
        return TrainerError(str(wrong["what"]).replace(f"{snapshot}/", ""), str(wrong.get("remedy", "")))
    if code < 0:
        return TrainerError(
            f"L’entraînement a été interrompu par le système (signal {-code}).",
            "Il manquait sans doute de la mémoire : relancez quand la machine est moins occupée.",
        )
    return TrainerError("\n".join(lines[-2:]) or f"Le moteur s’est arrêté (code {code}).", "Corrigez, puis relancez.")


def _asked(name: str, cases: Sequence[Case], order: Order) -> list[list[Any]]:
    """What stands for a set's cases. Of citizens' messages the numbers, never a hash of their words."""
    if name == CONFIRMED:
        return [[event, case.intent, case.second] for event, case in zip(order.events, cases, strict=True)]
    return [[case.text, case.intent, case.second, case.route] for case in cases]


def _row(judged: Judged) -> list[Any]:
    """What is kept of a reading: all but the case."""
    return [judged.intent, judged.route, judged.guess, judged.confidence, judged.net, judged.degree]


def _key(asked: Sequence[Sequence[Any]], root: Path) -> str:
    """What a measure depends on besides the model: what is asked, the replies, the lexicon, the program."""
    digest = hashlib.sha256(json.dumps(asked).encode())
    code = program.of(root)
    for path in (*(root / name for name in served.names(root)), *deciding(code), *(code / name for name in COUNTS)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class _Measures:
    """What models were measured to do, one file a model: numbers and names, no words."""

    def __init__(self, folder: Path, model: str) -> None:
        self._path = folder / f"{model}.json"
        self._kept: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            self._kept = json.loads(self._path.read_text(encoding="utf-8"))

    def read(self, name: str, key: str, n: int) -> list[list[Any]] | None:
        """The rows of a set of `n` cases; None when it was not measured, or otherwise."""
        kept = self._kept.get(name)
        if not isinstance(kept, dict) or kept.get("key") != key or len(kept.get("rows", ())) != n:
            return None
        return list(kept["rows"])

    def write(self, fresh: Mapping[str, tuple[str, Sequence[Sequence[Any]]]]) -> None:
        """Keep measures, by set their key and rows; those of the oldest models are forgotten."""
        if not fresh:
            return
        for name, (key, rows) in fresh.items():
            self._kept[name] = {"key": key, "rows": rows}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".part")
        draft.write_text(json.dumps(self._kept), encoding="utf-8")
        os.replace(draft, self._path)
        files = sorted(self._path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[KEPT_MEASURES:]:
            path.unlink(missing_ok=True)
