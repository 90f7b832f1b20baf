"""Is a text French? Only evidence of another language says no: short, misspelt or wordless texts count as French."""

from __future__ import annotations

import re
import unicodedata
from typing import Dict, FrozenSet

# Function words that a language's texts cannot do without. Words of two languages count for both.
_WORDS: Dict[str, FrozenSet[str]] = {
    "fr": frozenset(
        """je j tu il elle on nous vous ils elles me m te t se s le la les l un une des du de d au aux et ou est ai as a
        avez avons ont suis es sont c ce ca cette ces mon ma mes ton ta tes son sa ses notre votre leur qui que qu quoi
        quand comment pourquoi combien quel quelle dans sur pour par avec sans chez mais donc car ne n pas plus rien
        jamais y en faire fait peux peut veux voudrais bonjour bonsoir salut merci slt bjr svp stp oui non koman kan
        ki ke ds pr avc sui g chui ya""".split()
    ),
    "en": frozenset(
        """i you he she it we they me my your his her our their the an is are was were am be been have has had do does did
        don can cannot could would should will what when where why how who which and or but not no yes to of for with
        from at this that there please hello hi thanks thank help need want my someone here now s in on as
        just get got know like about""".split()
    ),
    "es": frozenset(
        """yo tu el ella nosotros ellos mi mis su sus los las una unos y o pero que quien cuando como donde por para con sin
        en de del al es son soy estoy esta estan hay tengo tiene quiero necesito puedo ayuda hola gracias favor buenos
        dias me se no si mas muy he ha policia""".split()
    ),
    "it": frozenset(
        """io lui lei noi loro mio mia il lo gli una e o ma che chi quando come dove per con senza di del della al alla sono
        sei ho ha hanno vorrei posso aiuto ciao buongiorno grazie per favore non si mi piu molto questo questa""".split()
    ),
    "de": frozenset(
        """ich du er sie wir ihr mein meine dein sein der die das den dem ein eine einen und oder aber nicht kein ist sind
        bin war habe hat haben kann will mochte wie wo wann warum wer was mit ohne fur von zu im bitte hallo danke hilfe
        auf""".split()
    ),
    "pt": frozenset(
        """eu voce ele ela nos meu minha os as um uma e ou mas que quem quando como onde por para com sem em de do da no na
        sou estou esta tenho tem quero preciso posso ajuda ola obrigado obrigada bom dia nao sim""".split()
    ),
    "nl": frozenset(
        """ik jij hij zij wij mijn de het een en of maar niet geen is zijn ben heb heeft kan wil hoe waar wanneer waarom wie
        wat met zonder voor van naar in op hulp hallo dank""".split()
    ),
}
_WORD = re.compile(r"[^\W\d_]+")


def is_french(text: str) -> bool:
    """False when another script, or another language's small words, clearly prevail."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return True
    latin = sum(1 for c in letters if c < "\u0250" or "\u1e00" <= c < "\u1f00")
    if latin * 2 < len(letters):
        return False
    words = _WORD.findall(_plain(text))
    score = {language: sum(word in known for word in words) for language, known in _WORDS.items()}
    french = score.pop("fr")
    other = max(score.values())
    return other < 2 or other <= french or other * 5 < len(words)


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
