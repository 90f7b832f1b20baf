"""What docs/securite.md and docs/asvs.md call proven is proven by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for name in ("securite.md", "asvs.md") if (path := ROOT / "docs" / name).exists()]
NAMED = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    assert named
    missing = []
    for one in sorted(named):
        file, _, name = one.partition("::")
        path = ROOT / file
        if not path.exists() or (name and not re.search(rf"def {name}\(", path.read_text(encoding="utf-8"))):
            missing.append(one)
    assert missing == []
