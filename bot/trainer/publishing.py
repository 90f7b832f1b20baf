"""Putting a model into service, and going back: gate → record → models → engines → everyone else → remote.

Runs in the role `trainer`, one at a time. Whatever fails before the model serves is undone: the record goes back by a commit of
its own, the model to where it stood, the files stay as the draft they were. What fails afterwards (the push) is told.
A publication is recorded as failed once it is undone, never before: until then it stays « running », and nothing else begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.core import program, served
from bot.core.clock import Clock, SystemClock
from bot.core.errors import Explained
from bot.store.faults import passes
from bot.store.workbench.publications import PUBLISH, Publication, Publications
from bot.trainer import conduct, engines, gate, grave, record, yardstick
from bot.trainer.candidates import CANDIDATES, SUFFIX, Model
from bot.trainer.comparison import Comparison, Figures
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import Project

log = logging.getLogger("planton.trainer")

KEPT = 10
SWITCH = 660.0  # seconds: two engines, each with the launcher's patience
BACK = 10.0  # seconds that a launcher has to be back when it ends while the engines change
RELOAD = 5.0  # seconds that the other roles have to read the files again
TRIES = 7  # of undoing what failed, each after twice the pause of the one before: a minute in all
LOCK = ".publishing.lock"  # in models/: whoever publishes holds it
BASELINE = "tests/gold/baseline.json"
AGAIN = "Lancez un nouvel essai : le candidat est déjà appris, seule la mesure est refaite."
STEPS = {
    "gate": "contrôle avant publication",
    "record": "enregistrement des données dans git",
    "engines": "le nouveau moteur charge le modèle ; l’ancien répond",
    "reload": "les autres parties relisent réponses, lexique et score",
    "push": "envoi vers le dépôt distant",
    "undo": "retour à ce qui était",
}
_FINGERPRINT = """
import sys
from pathlib import Path
from bot.engine.inputs import fingerprint
print(fingerprint(Path(sys.argv[1])))
"""


class Refused(TrainerError):
    """The publication may not be done; nothing of it was begun, or nothing of it remains."""


class NotTaken(TrainerError):
    """The engines did not take the model; what was recorded for it is still to be undone."""


@dataclass(frozen=True)
class _Why:
    """Why a publication stopped, in French."""

    what: str
    remedy: str

    @classmethod
    def of(cls, error: Exception) -> _Why:
        if isinstance(error, Explained):
            return cls(error.what, error.remedy)
        return cls(
            f"La publication s’est arrêtée sur une erreur ({type(error).__name__}) ; elle a été défaite.",
            "Réessayez ; si cela se répète, le journal du rôle « trainer » en dit plus.",
        )


_CUT = _Why("La publication a été interrompue par un redémarrage ; elle a été défaite.", "Relancez-la.")


@dataclass(frozen=True)
class Publisher:
    """What a publication needs. `comparison`: the last one of a candidate, by its hash; `var`: VAR_DIR, where the launcher is
    asked; `fingerprint`: what a model of the present files would be called; `patience`: seconds for the engines to change;
    `pause`: seconds before undoing is tried again."""

    project: Project
    publications: Publications
    comparison: Callable[[str], Awaitable[Comparison | None]]
    var: Path
    clock: Clock = field(default_factory=SystemClock)
    fingerprint: Callable[[Project], str] = field(default_factory=lambda: fingerprint)
    patience: float = SWITCH
    pause: float = 1.0
    second: bool = (
        True  # what victims and people in danger are told is read by a second person (`bot/trainer/grave.py`)
    )
    _stopped: dict[int, _Why] = field(default_factory=dict)  # why those stopped that are not settled yet
    _tried: dict[int, int] = field(default_factory=dict)

    async def work(self) -> bool:
        """Settle what was cut short, then do the publication that waits; whether there was one. Raises what the database or the
        machine refuses: asked again, it goes on from there."""
        with _alone(self.project.root / "models") as alone:
            if not alone:
                return False  # another process publishes
            await self._settle()
            publication = await self.publications.take(self.clock.now())
            if publication is None:
                return False
            await self.publish(publication)
            return True

    async def publish(self, publication: Publication) -> None:
        """Do one, to its end; how it ended stands in the database. Raises as `work`, the row is « running » then."""
        run = _Run(self, publication)
        try:
            await (run.forward() if publication.kind == PUBLISH else run.back())
        except Refused as error:
            self._stopped[publication.id] = _Why.of(error)  # should the database be away when it is to be said
            await self.publications.fail(self.clock.now(), publication.id, error.what, error.remedy)
        except Exception as error:  # cancelled: `recover` sees to it at the next start
            # The name alone: what a database refuses is quoted with the words that were to be written.
            log.warning("publication %d stopped: %s", publication.id, type(error).__name__)
            self._stopped[publication.id] = _Why.of(error)
            if _away(error):
                raise
            await self._settle()

    async def recover(self) -> None:
        """Once, at the start: a publication that was cut short is finished if its model serves, else undone."""
        with _alone(self.project.root / "models") as alone:
            if alone:
                await self._settle()

    async def _settle(self) -> None:
        """End what is « running » although nobody does it: finished if its model serves, else undone and failed. Raises what
        stands in the way; after TRIES times it is failed as it stands, with what is left said."""
        publication = await self.publications.running()
        if publication is None:
            return
        why, run = self._stopped.get(publication.id, _CUT), _Run(self, publication)
        try:
            if publication.step in ("engines", "reload", "push") and run.serves():
                await run.finish(publication.commit, await run.undone())
                return
            await self._undo(run, publication)
        except Changed as error:  # trying again would not help
            why = _stuck(why, error)
        except Exception as error:
            tried = self._tried[publication.id] = self._tried.get(publication.id, 0) + (not _away(error))
            if _away(error):
                raise
            if tried < TRIES:
                await asyncio.sleep(self.pause * 2 ** (tried - 1))
                raise
            log.error("publication %d is half undone: %s", publication.id, type(error).__name__)
            why = _stuck(why, error)
        await self.publications.fail(self.clock.now(), publication.id, why.what, why.remedy)

    async def _undo(self, run: _Run, publication: Publication) -> None:
        """What of it was done. The step is written before each is begun."""
        if publication.step in ("", "gate"):
            return
        commit = publication.commit or await asyncio.to_thread(_left, self.project, publication)
        if publication.step == "record":
            await run.unrecord(commit)
        else:
            await run.undo(commit)


def _away(error: Exception) -> bool:
    """Whether the database is not there, or not able: nothing is wrong with the publication."""
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        return False  # a file of the project
    return passes(error)


def _stuck(why: _Why, error: Exception) -> _Why:
    told = f"{error.what} {error.remedy}" if isinstance(error, Explained) else f"Erreur : {type(error).__name__}."
    return _Why(
        f"{why.what.replace(' ; elle a été défaite', '')} Elle n’a pas pu être défaite entièrement. {told}",
        "Dans le dossier de Planton, « git log » montre si son enregistrement est resté, et la page « Modèles » le modèle "
        "en service ; « Revenir à cette version » remet les deux d’accord.",
    )


@contextlib.contextmanager
def _alone(models: Path) -> Iterator[bool]:
    """Whether nobody else publishes these files; nobody does while inside then. Gone with the process, however it ends."""
    models.mkdir(exist_ok=True)
    with (models / LOCK).open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


class _Run:
    """One publication under way."""

    def __init__(self, publisher: Publisher, publication: Publication) -> None:
        self._it, self._publication = publisher, publication
        self._project, self._store = publisher.project, publisher.publications
        self._models = publisher.project.root / "models"
        self._author = record.author(publication.author)
        self._previous = publication.previous or self._serving()

    def _serving(self) -> str:
        """The hash of the model in service; empty without one."""
        serving = engines.in_service(self._models, self._it.var)
        return serving.name.removesuffix(SUFFIX) if serving else ""

    # -- a candidate goes into service ---------------------------------------------------------------------------

    async def forward(self) -> None:
        """gate → record → models → engines → reload → push."""
        await self._step("gate")
        candidate = Model(self._models / CANDIDATES / f"{self._publication.model}{SUFFIX}", self._project.root)
        if not candidate.archive.is_file():
            raise Refused("Ce candidat n’est plus là.", "Lancez un nouvel essai.")
        await self._gate()
        await self._second_person(candidate)
        await self._step("record")
        commit = await asyncio.to_thread(self._record)
        await self._store.step(self._publication.id, "engines", commit_id=commit)
        await asyncio.to_thread(move, candidate, self._models)
        await self._switch(self._publication.model)
        await self.finish(commit, ())

    async def _gate(self) -> None:
        comparison = await self._it.comparison(self._publication.model)
        if comparison is None:
            raise Refused("Ce candidat n’a pas été comparé au modèle en service.", "Lancez sa comparaison.")
        if {self._previous, await asyncio.to_thread(self._serving)} != {comparison.current}:
            raise Refused(
                "Le modèle en service n’est plus celui auquel ce candidat a été comparé.", "Comparez-le de nouveau."
            )
        verdict = await asyncio.to_thread(judged, self._project, comparison)
        if verdict.open or (verdict.overridable and self._publication.reason):
            return
        remedy = AGAIN if verdict.stale else "Corrigez les exemples, puis refaites un essai."
        raise Refused(" ".join(reason.what for reason in verdict.reasons), remedy)

    async def _second_person(self, candidate: Model) -> None:
        """Asked again here, whoever wrote the wish down."""
        if not self._it.second or await self._store.seconded(self._publication.id):
            return
        touched = await asyncio.to_thread(grave.touches, self._project, self._models, self._previous, candidate.archive)
        if touched:
            raise Refused(
                "Cette publication change ce qui est répondu aux victimes ou aux urgences, et personne d’autre ne l’a relue.",
                "Demandez-la de nouveau dans « Modèles » : une seconde personne l’y relit.",
            )

    def _record(self) -> str:
        candidate = self._models / CANDIDATES / f"{self._publication.model}{SUFFIX}"
        with self._project.lock():
            record.head(self._project)
            self._must_fit()
            self._keep_files(self._models / f"{self._previous}{SUFFIX}")
            commit = record.commit(self._project, self._author, self._message("Publication d’un modèle"))
            try:
                self._must_fit()  # somebody may edit by hand, without the lock
            except TrainerError:
                record.take_back(self._project, [commit], self._author, "Publication abandonnée", keep_files=True)
                raise
            self._keep_files(candidate)
            return commit

    def _keep_files(self, archive: Path) -> None:
        """What is recorded now goes with this model, unless its training left what does (that of an earlier version did not)."""
        if archive.is_file():
            served.keep(archive, conduct.recorded(self._project))

    def _must_fit(self) -> None:
        if self._it.fingerprint(self._project) != self._publication.model:
            raise Refused(
                "Les fichiers ont changé depuis l’essai : ce qui serait enregistré n’est pas ce que le candidat a appris.",
                "Lancez un nouvel essai, qui prendra ces changements.",
            )

    # -- and back ------------------------------------------------------------------------------------------------

    async def back(self) -> None:
        """The publications since the wanted version are taken back, newest first: data by a commit, then the model."""
        await self._step("record")
        archive = self._models / f"{self._publication.model}{SUFFIX}"
        if not archive.is_file():
            raise Refused("Cette version n’est plus là : les dix dernières sont gardées.", "Choisissez-en une autre.")
        undone = await self.undone()
        commits = [one.commit for one in await self._since() if one.commit]
        commit = await asyncio.to_thread(self._take_back, commits)
        await self._store.step(self._publication.id, "engines", commit_id=commit)
        await asyncio.to_thread(engines.touch, archive)
        await self._switch(self._publication.model)
        await self.finish(commit, undone)

    def _take_back(self, commits: Sequence[str]) -> str:
        message = self._message(f"Retour au modèle {self._publication.model}")
        with self._project.lock():
            record.head(self._project)
            self._keep_files(self._models / f"{self._previous}{SUFFIX}")
            commit = record.take_back(self._project, commits, self._author, message)
            self._keep_files(self._models / f"{self._publication.model}{SUFFIX}")
            return commit

    async def _since(self) -> list[Publication]:
        return since(await self._store.done(), self._publication.model)

    async def undone(self) -> list[int]:
        """The publications that this roll-back takes back; none for a publication."""
        return [] if self._publication.kind == PUBLISH else [one.id for one in await self._since()]

    # -- what both do --------------------------------------------------------------------------------------------

    async def _step(self, step: str) -> None:
        await self._store.step(self._publication.id, step, previous=self._previous)

    def _message(self, fallback: str) -> str:
        """The commit's words; the last lines tie it to model and publication."""
        words = self._publication.message.strip() or fallback
        return f"{words}\n\nModèle : {self._publication.model}\n{_mark(self._publication)}"

    async def _switch(self, model: str) -> None:
        """Have the engines take a model; returns once all do. Raises NotTaken."""
        var = self._it.var
        if not engines.held(var):
            return  # none runs here: the newest archive is read at the next start
        wish = await asyncio.to_thread(engines.ask, var, model + SUFFIX)
        back = BACK
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(asyncio.timeout(self._it.patience))
                while True:
                    status = await asyncio.to_thread(engines.status, var)
                    if status.wanted == wish.id and status.state != engines.SWITCHING:
                        break
                    back = BACK if engines.held(var) else back - 0.2
                    if back < 0:
                        return  # it ended meanwhile: the next start takes the wish up
                    await asyncio.sleep(0.2)
            except TimeoutError:
                raise NotTaken(
                    "Le modèle n’a pas changé : les moteurs ne répondent pas.", "Vérifiez que « planton run » tourne."
                ) from None
        if status.state == engines.FAILED:
            raise NotTaken(
                f"Le modèle n’a pas changé : {status.failure}.".replace("..", "."),
                "Voyez le journal du moteur, puis refaites un essai.",
            )

    def serves(self) -> bool:
        """Whether the model of this publication answers already, in every engine of this machine."""
        if self._serving() != self._publication.model:
            return False
        if self._publication.step == "engines":  # not said yet: only engines that answer with it count
            return engines.held(self._it.var) and engines.status(self._it.var).models == {
                self._publication.model + SUFFIX
            }
        return True

    async def finish(self, commit: str, undone: Sequence[int]) -> None:
        """The model serves: the others read again, the remote is told."""
        await self._step("reload")
        warnings = await self._reload()
        await self._step("push")
        told = await asyncio.to_thread(record.push, self._project) if commit else ""
        warnings += [told] if told else []
        if not engines.held(self._it.var):
            warnings.append("Aucun moteur ne tourne sur cette machine : il prendra ce modèle à son prochain démarrage.")
        if warnings:
            await self._store.step(self._publication.id, "push", warning="\n".join(warnings))
        publication = replace(self._publication, previous=self._previous)
        await self._store.succeed(self._it.clock.now(), publication, commit, undone)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(forget, self._models, (publication.model, self._previous))

    async def _reload(self) -> list[str]:
        """Tell the other roles, and wait until each has read, or said that it cannot."""
        before = {(one.role, one.host): one.at for one in await self._store.reloads()}
        await self._store.reload(self._publication.model)
        rows = []
        for _ in range(int(RELOAD / 0.25)):
            rows = await self._store.reloads()
            if all(one.at > before.get((one.role, one.host), one.at) or one.fault for one in rows):
                break
            await asyncio.sleep(0.25)
        return [f"{one.role} : {one.fault}" for one in rows if one.fault]

    async def undo(self, commit: str) -> None:
        """As it was before: model first, then the record. The engines that changed already change back."""
        await self._step("undo")
        publish = self._publication.kind == PUBLISH
        await asyncio.to_thread(self._put_back, publish)
        previous = engines.newest(self._models)
        if previous is not None:  # asked whatever serves now: an engine with the other model may be on its way
            with contextlib.suppress(Explained):
                await self._switch(previous.name.removesuffix(SUFFIX))
        await self.unrecord(commit)
        await self._store.reload(self._previous)  # who started meanwhile has read the other score

    async def unrecord(self, commit: str) -> None:
        """Take its commit back, if it made one; of a publication the files stay, as the draft they were."""
        if commit:
            await asyncio.to_thread(self._unrecord, commit, self._publication.kind == PUBLISH)

    def _put_back(self, publish: bool) -> None:
        previous = self._models / f"{self._previous}{SUFFIX}"
        archive = self._models / f"{self._publication.model}{SUFFIX}"
        if publish and archive.is_file():
            move(Model(archive, self._project.root), self._models / CANDIDATES)
        if self._previous and previous.is_file():
            engines.touch(previous)

    def _unrecord(self, commit: str, keep_files: bool) -> None:
        with self._project.lock():
            record.take_back(
                self._project,
                [commit],
                self._author,
                "Publication abandonnée : le modèle n’a pas pris son service",
                keep_files,
            )


def since(done: Sequence[Publication], model: str) -> list[Publication]:
    """What a return to `model` takes back, newest first; empty when the record does not lead there (the model alone returns).

    `done`: every publication that was carried out, the newest first. A roll-back and what it took back cancel out; the last
    one can be taken back itself.
    """
    standing = [one for one in done if one.undone_by is None]
    found: list[Publication] = []
    for place, one in enumerate(standing):
        if one.kind == PUBLISH:
            found.append(one)
        elif place == 0 and one.previous == model:
            return [one]
        if one.kind == PUBLISH and one.previous == model:
            return found
    return []


def _mark(publication: Publication) -> str:
    return f"Publication : {publication.id}"


def _left(project: Project, publication: Publication) -> str:
    """The commit that a publication made just before it was cut short, if it did."""
    with contextlib.suppress(TrainerError):
        if _mark(publication) in project.git("log", "-1", "--format=%B").splitlines():
            return project.head()
    return ""


def judged(project: Project, comparison: Comparison) -> gate.Verdict:
    """What the gate says of a comparison today. Blocks: reads files."""
    if comparison.yardstick != yardstick.digest(project.root):
        return gate.stale()
    try:
        return gate.verdict(comparison, baseline(project))
    except BadFile as error:
        return gate.without_reference(comparison, f"{error.what} {error.remedy}")


def baseline(project: Project) -> Mapping[str, Any] | None:
    """The reference figures of the gold sets; None when there are none. Raises BadFile for what is there and cannot be read."""
    if not project.path(BASELINE).exists():
        return None
    remedy = "Rétablissez-le depuis git, ou refaites-le : make test-nlu ACCEPTER=1."
    try:
        found = json.loads(project.read(BASELINE))
    except BadFile:
        raise
    except ValueError as error:
        raise BadFile(BASELINE, f"ce n’est pas du JSON ({type(error).__name__}).", remedy) from None
    if not _shaped(found):
        raise BadFile(BASELINE, "ce n’est pas la forme attendue.", remedy)
    return dict(found)


def _shaped(found: Any) -> bool:
    """Whether the gate can read these figures."""
    try:
        sets = [one["clean"].values() for one in found["sets"].values() if isinstance(one["n"], int)]
        intents = [(row["n"], row["right"]) for row in found["intents"]["clean"].values()]
    except (AttributeError, KeyError, TypeError):
        return False
    figures = [share for shares in sets for share in shares if share is not None]
    counts = [count for row in intents for count in row]
    return len(sets) == len(found["sets"]) and all(isinstance(one, int | float) for one in (*figures, *counts))


def shares(comparison: Comparison) -> dict[str, dict[str, float | None]]:
    """The candidate's figures by set, to keep with a version."""

    def kept(figures: Figures | None) -> dict[str, float | None]:
        return dict(figures.shares) if figures else {}

    return {one.name: kept(one.candidate) for one in comparison.sets if one.candidate is not None}


def fingerprint(project: Project) -> str:
    """What a model of the present files would be called, as the engine's environment computes it. Raises Refused."""
    code = program.of(project.root)
    python = code / ".venv-engine" / "bin" / "python"
    try:
        done = subprocess.run(
            [python, "-c", _FINGERPRINT, project.root],
            cwd=code,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        raise Refused("Le moteur n’est pas installé.", "Faites : make install") from None
    return done.stdout.strip()


def move(model: Model, folder: Path) -> None:
    """Bring a model with all that stands beside it into another folder, the archive last: who takes the newest finds it whole."""
    folder.mkdir(parents=True, exist_ok=True)
    served.follow(model.archive, folder)  # they stand in both places meanwhile: nobody finds the model without them
    for path in (model.score, model.card, model.archive):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, folder / path.name)
    served.forget(model.archive)
    engines.touch(folder / model.archive.name)


def forget(models: Path, keep: Sequence[str]) -> list[str]:
    """Remove all but the ten newest models, never those of `keep`; the hashes that went."""
    archives = sorted(models.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    gone = []
    for archive in archives[KEPT:]:
        model = Model(archive, models.parent)
        if model.hash in keep:
            continue
        for path in (archive, model.score, model.card):
            path.unlink(missing_ok=True)
        served.forget(archive)
        gone.append(model.hash)
    return gone
