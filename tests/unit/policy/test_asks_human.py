"""A request for a human, in so many words."""

from __future__ import annotations

import pytest

from bot.policy.asks_human import asks

ASKED = """je veux un humain
un humain svp
Bonjour, un conseiller s'il vous plaît
Je veux parler à un humain
parler à un agent
Puis-je parler à quelqu’un ?
passez moi un agent
je veux un vrai policier pas un robot
stop, un agent svp
comment avoir un casier ? je veux un agent
J'ai perdu ma carte d'identité. Je voudrais parler à quelqu'un
Pouvez-vous me passer un agent ? Je voudrais connaître l'âge limite
je souhaiterais être mise en relation avec un agent
j'aimerais bien discuter avec une vraie personne
est-ce que je peux parler à un policier
mettez-moi en contact avec un conseiller, merci
j veu parlé a un agent
jvoudrais parler a un humain
je veut parler à quelqun"""
OF_TWO_LINES = "c'est pour un passeport\nje veux un humain"

NOT_ASKED = """je ne veux pas parler à un agent
comment parler à un agent ?
je veux devenir agent
je veux être un policier
si je veux parler à un agent je fais comment
quelqu'un
un agent
hier, un agent, en uniforme, m'a arrêté
dois-je parler à un agent
je veux porter plainte contre un agent
je veux un agent immobilier
j'ai besoin d'un policier chez moi
je voudrais contacter un policier qui m'a contrôlé
je voudrais savoir si un agent peut fouiller mon sac"""


@pytest.mark.parametrize("words", [*ASKED.splitlines(), OF_TWO_LINES])
def test_who_asks_for_a_human_is_heard(words: str) -> None:
    assert asks(words)


@pytest.mark.parametrize("words", NOT_ASKED.splitlines())
def test_who_speaks_of_one_does_not_ask_for_one(words: str) -> None:
    assert not asks(words)
