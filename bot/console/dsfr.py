"""The theme of the French State's design system, which only `make theme-dsfr` installs, after its terms were accepted.

Nothing of it comes with Planton. Without the record of an acceptance beside its files, none of them is ever served.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

RECORD = "acceptation.json"
# The terms that the summary shown before the download speaks of: doc/legal/cgu.md of that version.
VERSION = "1.15.3"
TERMS = "d945f97a662e4def429cb132bc6b97e8daf82d4856e5a7173d5d0f94c929b032"
STYLES = ("core/core.main.min.css", "scheme/scheme.min.css", "component/logo/logo.main.min.css")
FILES = (
    *STYLES,
    "fonts/Marianne-Regular.woff2",
    "fonts/Marianne-Regular_Italic.woff2",
    "fonts/Marianne-Medium.woff2",
    "fonts/Marianne-Bold.woff2",
)


@dataclass(frozen=True)
class Acceptance:
    """Who accepted the terms (SHA-256 of their text) of which version, and when."""

    by: str
    at: datetime
    version: str
    terms: str

    def written(self) -> str:
        """As it is kept."""
        kept = {"par": self.by, "le": self.at.isoformat(), "version": self.version, "conditions_sha256": self.terms}
        return json.dumps(kept, ensure_ascii=False, indent=2) + "\n"


def accepted(folder: Path | None) -> Acceptance | None:
    """The acceptance that `folder` records, if it is of the terms of this version and every file is there; else None."""
    if folder is None:
        return None
    try:
        kept = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        found = Acceptance(
            str(kept["par"]), datetime.fromisoformat(kept["le"]), str(kept["version"]), str(kept["conditions_sha256"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    whole = found.terms == TERMS and found.version == VERSION and all((folder / name).is_file() for name in FILES)
    return found if whole and found.by.strip() else None
