"""`python -m bot`: the command line."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the exit code."""
    try:
        from bot.app.cli import main as command_line
    except KeyboardInterrupt:  # nothing had begun
        return 130
    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
