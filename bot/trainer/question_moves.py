"""What trainers do to questions, as what they want of the catalogue: pure, on the book as it stands.

Each raises Changed when what is meant is no longer there, TrainerError for what cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Optional

from bot.core.catalogue import Question, Value, Variant, listed, of_variants
from bot.core.examples import QUESTION
from bot.trainer.corpus import placed, short
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.questions import Book, Wanted, must_be_seen

# Given the catalogue as it stands: what is wanted of it.
Make = Callable[[Book], Wanted]
_NEIGHBOURS = ("related", "apart")  # metadata that name other questions


def reworded(book: Book, id_: str, seen: str, variants: tuple[Variant, ...]) -> Wanted:
    """Its answer and what is told of it, if it is as it was shown (`seen`)."""
    present = must_be_seen(book, id_, seen)
    return Wanted({id_: replace(present, variants=variants)})


def created(book: Book, question: Question, beside: str = "") -> Wanted:
    """A new question."""
    _must_be_new(book, question.id)
    return Wanted({question.id: question}, {question.id: beside} if beside else {})


def taught(book: Book, id_: str, texts: Sequence[str]) -> Wanted:
    """Further examples."""
    present = _present(book, id_)
    examples = present.examples
    for text in texts:
        if text in examples:
            raise Changed(
                f"«\u00a0{short(text)}\u00a0» est déjà un exemple de cette question.", "Il n’y a rien à faire."
            )
        examples = placed(examples, text)
    return Wanted({id_: replace(present, examples=examples)})


def unlearned(book: Book, id_: str, text: str) -> Wanted:
    """One example less."""
    present = _holding(book, id_, text)
    return Wanted({id_: replace(present, examples=_without(present.examples, text))})


def corrected(book: Book, id_: str, text: str, becomes: str) -> Wanted:
    """An example in other words, in its place."""
    present = _holding(book, id_, text)
    if becomes != text and becomes in present.examples:
        raise Changed(
            f"«\u00a0{short(becomes)}\u00a0» est déjà un exemple de cette question.", "Retirez plutôt celui-ci."
        )
    return Wanted({id_: replace(present, examples=tuple(becomes if one == text else one for one in present.examples))})


def moved(book: Book, id_: str, text: str, to: str, becomes: str = "") -> Wanted:
    """An example to another question, in other words if it `becomes` them."""
    present, target = _holding(book, id_, text), _present(book, to)
    found = becomes or text
    if to == id_:
        raise TrainerError("L’exemple est déjà dans cette question.", "Choisissez-en une autre.")
    examples = target.examples if found in target.examples else placed(target.examples, found)
    return Wanted(
        {id_: replace(present, examples=_without(present.examples, text)), to: replace(target, examples=examples)}
    )


def split(book: Book, id_: str, seen: str, new: Question, gone: Sequence[str], further: Sequence[str] = ()) -> Wanted:
    """A second question beside one, which gives it some of its examples and gets `further` ones; each names the other as its
    neighbour."""
    present = must_be_seen(book, id_, seen)
    _must_be_new(book, new.id)
    missing = next((text for text in gone if text not in present.examples), None)
    if missing is not None or not gone:
        raise TrainerError(
            "Choisissez les exemples qui partent.", "Cochez-les\u00a0: ils iront à la nouvelle question."
        )
    examples = tuple(one for one in present.examples if one not in gone)
    for text in further:
        examples = examples if text in examples else placed(examples, text)
    left = replace(present, examples=examples)
    return Wanted({id_: _beside(left, new.id), new.id: _beside(new, id_)}, {new.id: id_})


def joined(book: Book, id_: str, seen: str, into: str) -> Wanted:
    """A question's examples go to another one, which answers for both; whoever named it as a neighbour names that one."""
    present, target = must_be_seen(book, id_, seen), _present(book, into)
    if into == id_:
        raise TrainerError("C’est la même question.", "Choisissez celle qui répondra pour les deux.")
    examples = target.examples
    for text in present.examples:
        examples = examples if text in examples else placed(examples, text)
    wanted: dict[str, Optional[Question]] = {
        one.id: _renamed(one, id_, into) for one in book.questions.values() if _names(one, id_)
    }
    known = wanted.get(into) or target
    return Wanted({**wanted, into: replace(known, examples=examples), id_: None})


def blank(id_: str, examples: Sequence[str], text: str, metadata: Mapping[str, Value]) -> Question:
    """A question that stands nowhere yet. Raises TrainerError for a wrong name."""
    if not QUESTION.fullmatch(id_):
        raise misnamed(id_)
    return of_variants(id_, tuple(dict.fromkeys(examples)), (Variant(text, (), dict(metadata)),))


def misnamed(name: str) -> TrainerError:
    """That a question cannot be called so."""
    return TrainerError(
        f"«\u00a0{short(name)}\u00a0» n’est pas le nom d’une question.",
        "Écrivez un nom court en minuscules sans accent, chiffres et «\u00a0_\u00a0».",
    )


def _present(book: Book, id_: str) -> Question:
    found = book.get(id_)
    if found is None:
        raise Changed(
            f"La question «\u00a0{short(id_)}\u00a0» n’existe plus.", "Rechargez la page\u00a0: elle a pu être réunie."
        )
    return found


def _holding(book: Book, id_: str, text: str) -> Question:
    present = _present(book, id_)
    if text not in present.examples:
        raise Changed(
            "Cet exemple n’est plus dans cette question\u00a0: quelqu’un l’a changé ou retiré. Rien n’a été changé.",
            "Voyez ci-dessous ce qu’elle contient maintenant.",
        )
    return present


def _must_be_new(book: Book, id_: str) -> None:
    if book.get(id_) is not None:
        raise TrainerError(f"La question «\u00a0{id_}\u00a0» existe déjà.", "Donnez-lui un autre nom.")


def _without(examples: tuple[str, ...], text: str) -> tuple[str, ...]:
    return tuple(one for one in examples if one != text)


def _beside(one: Question, other: str) -> Question:
    """The question with another one among its neighbours."""
    if other in one.related:
        return one
    return replace(one, variants=_told(one, {"related": (*one.related, other)}))


def _names(one: Question, id_: str) -> bool:
    return any(id_ in listed(v.metadata.get(key)) for v in one.variants for key in _NEIGHBOURS)


def _renamed(one: Question, id_: str, into: str) -> Question:
    def other(key: str, value: Value) -> Value:
        return _other(value, id_, into, one.id) if key in _NEIGHBOURS else value

    return replace(
        one,
        variants=tuple(replace(v, metadata={k: other(k, x) for k, x in v.metadata.items()}) for v in one.variants),
    )


def _other(value: Value, id_: str, into: str, own: str) -> Value:
    """A list of neighbours where one is another now; nobody is their own."""
    names = dict.fromkeys(into if name == id_ else name for name in listed(value))
    return tuple(name for name in names if name != own)


def _told(one: Question, more: Mapping[str, Value]) -> tuple[Variant, ...]:
    return tuple(v if v.conditions else replace(v, metadata={**v.metadata, **more}) for v in one.variants)
