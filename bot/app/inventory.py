"""The inventory beside a back-up: what is in it, counted in the same snapshot, and by which key it opens.

It tells nothing of anybody. It is signed with a key derived from DATA_KEY: a back-up that somebody else made, or changed, is
recognised before anything of it is run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.core.errors import SetupError
from bot.store.codec import Codec

FORMAT = 1
SUFFIX = ".json"
_REGISTER = "backup.register"

Register = dict[int, tuple[datetime, datetime]]  # keyed print → erased at, kept until


@dataclass(frozen=True)
class Inventory:
    """`counts`: rows by table. `sha256`, `size`: of the file as it stands; `dump_sha256`: of what it holds once opened."""

    made_at: str
    planton: str
    schema: str
    server: int
    pg_dump: int
    encryption: str
    key: str
    model: str | None
    file: str
    size: int
    sha256: str
    dump_sha256: str
    counts: Mapping[str, int]
    register: str = ""  # who had asked to be erased, sealed (see `sealed`)
    format: int = FORMAT
    signature: str = field(default="")

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    def signed(self, codec: Codec) -> Inventory:
        """The same with its signature."""
        return Inventory(**{**asdict(self), "signature": _sign(codec, asdict(self))})

    def to_json(self) -> str:
        """As it is written to disk."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"


def _sign(codec: Codec, fields: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in fields.items() if name != "signature"}
    plain = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return hmac.new(codec.key("backup"), plain, hashlib.sha256).hexdigest()


def fingerprint(codec: Codec) -> str:
    """Tells keys apart, and nothing of the key."""
    return f"{codec.fingerprint('backup', 'key') & (2**64 - 1):016x}"


def beside(file: Path) -> Path:
    """Where the inventory of a back-up stands."""
    return file.with_name(file.name + SUFFIX)


def read(path: Path) -> Inventory:
    """Raises SetupError when it is none, or of a newer Planton."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.get("format") != FORMAT:
            raise SetupError(
                f"L’inventaire {path.name} vient d’une autre version de Planton.",
                "Restaurez avec la version qui l’a écrit.",
            )
        return Inventory(**fields)
    except FileNotFoundError:
        raise SetupError(
            f"L’inventaire {path.name} manque à côté de la sauvegarde.",
            "Remettez-le ; s’il est perdu, ajoutez --sans-inventaire : rien ne dira alors si la sauvegarde est la vôtre.",
        ) from None
    except (OSError, ValueError, TypeError, AttributeError):
        raise SetupError(
            f"{path.name} n’est pas l’inventaire d’une sauvegarde.", "Remettez le fichier d’origine."
        ) from None


def check(inventory: Inventory, codec: Codec) -> None:
    """Raise SetupError when the key is another, or the inventory was changed."""
    own = next((part for part in codec.parts if fingerprint(part) == inventory.key), None)  # two during a rotation
    if own is None:
        raise other_key()
    if not hmac.compare_digest(inventory.signature, _sign(own, asdict(inventory))):
        raise SetupError(
            "L’inventaire de la sauvegarde a été modifié : sa signature ne correspond pas.",
            "Prenez une autre copie de cette sauvegarde et de son inventaire.",
        )


def other_key() -> SetupError:
    """The data do not open with the key of this installation."""
    return SetupError(
        "La clé ne correspond pas : cette sauvegarde a été faite avec une autre clé PLANTON_DATA_KEY. Rien n’a été changé.",
        "Donnez la clé d’alors : sans elle, rien ne se relit. Si elle a été remplacée depuis, donnez les deux : nouvelle,ancienne.",
    )


def sealed(codec: Codec, register: Register) -> str:
    """A register, for an inventory."""
    rows = [[one, at.isoformat(), until.isoformat()] for one, (at, until) in sorted(register.items())]
    return base64.b64encode(codec.seal_json(rows, _REGISTER)).decode()


def unsealed(codec: Codec, value: str) -> Register:
    """What `sealed` made; nothing of an empty value."""
    if not value:
        return {}
    rows = codec.open_json(base64.b64decode(value), _REGISTER)
    return {int(one): (datetime.fromisoformat(at), datetime.fromisoformat(until)) for one, at, until in rows}


def merged(first: Register, second: Register) -> Register:
    """Both; of two lines for the same print, the later one."""
    return {**first, **{one: line for one, line in second.items() if one not in first or first[one] < line}}


def stamp(moment: datetime) -> str:
    """A moment in a file's name."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
