"""A file of labelled messages under noise, to read what is measured: the first column is changed, the rest kept.

python scripts/noise.py sms tests/gold/intents.tsv > /tmp/sms.tsv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bot.app.noise import KINDS, SEED, apply


def main(kind: str, path: Path, seed: int) -> None:
    """Print the file with its messages changed; the header stays."""
    head, *lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    print(head)
    for line in lines:
        text, tab, rest = line.partition("\t")
        print(apply(kind, text, seed) + tab + rest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    main(options.kind, options.file, options.seed)
