"""Why the desk refuses; `what` and `remedy` are French, for the agent."""

from __future__ import annotations

from bot.core.errors import Explained


class DeskError(Explained):
    """The desk refuses; `what` and `remedy` are French, for the agent."""


class NoSuchConversation(DeskError):
    """There is none of that number."""

    def __init__(self) -> None:
        super().__init__("Cette conversation n’existe pas.", "Revenez à la file pour choisir une conversation.")


class NotAllowed(DeskError):
    """The role does not permit it."""

    def __init__(self, what: str = "Votre rôle ne permet pas cette action.") -> None:
        super().__init__(what, "Demandez à un administrateur si vous en avez besoin.")


class Conflict(DeskError):
    """The conversation is not, or no longer, in a state that permits it."""


class Stale(Conflict):
    """The person wrote since the page was shown. `undone`: what was not done, if it was not sending."""

    def __init__(self, undone: str = "") -> None:
        what = undone or "rien n’a été envoyé."
        again = "puis décidez." if undone else "puis envoyez de nouveau. Votre brouillon est gardé."
        super().__init__(f"La personne vient d’écrire\u00a0: {what}", f"Lisez ce qu’elle dit, {again}")


class Overtaken(Conflict):
    """A colleague wrote since the page was shown."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} vient d’écrire à cette personne\u00a0: rien n’a été envoyé.",
            "Lisez sa réponse, puis envoyez la vôtre s’il le faut encore. Votre brouillon est gardé.",
        )


class UntakenEmergency(Conflict):
    """A danger that no agent has read is not put out of the way. `refused`: the end of the sentence, what was not done."""

    def __init__(self, refused: str) -> None:
        super().__init__(
            f"Une urgence que personne n’a prise attend ici\u00a0: {refused}.", "Prenez-la, lisez-la, puis décidez."
        )


class NeedsSecondLook(Conflict):
    """Somebody may be in danger: the outcome is chosen by hand, and confirmed."""

    def __init__(self) -> None:
        super().__init__(
            "Cette demande est grave\u00a0: elle n’a pas été close.",
            "Relisez-la, choisissez l’issue dans «\u00a0Clore\u00a0», puis confirmez.",
        )


class BadChoice(DeskError):
    """What was chosen is not to be had."""


class BadReply(DeskError):
    """The text cannot be sent."""


class NeedsValidation(DeskError):
    """The rule of this category asks for somebody's agreement first. `steps`: service, cabinet."""

    def __init__(self, steps: tuple[str, ...]) -> None:
        super().__init__(
            "Dans cette catégorie, une réponse ne part pas sans validation\u00a0: rien n’a été envoyé.",
            "Soumettez-la à validation. Votre brouillon est gardé.",
        )
        self.steps = steps
