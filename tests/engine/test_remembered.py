"""Texts that come again are read once; their words are kept nowhere."""

from __future__ import annotations

import pickle

from bot.engine.remembered import Remembered


class Classifier:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def look(self, text: str) -> tuple[tuple[str, float], ...]:
        """A ranking that depends on the text."""
        self.asked.append(text)
        return (("salutation", float(len(text))), ("au_revoir", 0.0))


def test_a_text_is_read_once_and_answered_the_same() -> None:
    classifier = Classifier()
    look = Remembered(classifier.look)
    look("bonjour")
    assert look("bonjour") == (("salutation", 7.0), ("au_revoir", 0.0))
    assert look("Bonjour") == (("salutation", 7.0), ("au_revoir", 0.0))
    assert look("au secours") == (("salutation", 10.0), ("au_revoir", 0.0))
    assert look("\ud83d seule") == (("salutation", 7.0), ("au_revoir", 0.0))
    assert classifier.asked == ["bonjour", "Bonjour", "au secours", "\ud83d seule"]


def test_the_texts_asked_for_last_are_kept() -> None:
    classifier = Classifier()
    look = Remembered(classifier.look, most=2)
    for text in ("un", "deux", "un", "trois", "un", "deux"):
        look(text)
    assert classifier.asked == ["un", "deux", "trois", "deux"]


def test_no_word_is_kept() -> None:
    look = Remembered(Classifier().look)
    look("il a un couteau rue des Lilas")
    kept = pickle.dumps(look._known)
    assert b"salutation" in kept
    assert b"couteau" not in kept
    assert b"Lilas" not in kept
    other = Remembered(Classifier().look)
    other("il a un couteau rue des Lilas")
    assert set(look._known).isdisjoint(other._known)  # nor can a list of guesses be hashed beforehand
