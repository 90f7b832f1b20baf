"""Rasa's own command line, the same but for TensorFlow, which it imports only where it needs it: half the time of a start."""

from __future__ import annotations

from bot.engine import light


def main() -> None:
    """As `python -m rasa`."""
    light.without(light.NETWORKS)
    from rasa.__main__ import main as rasa

    rasa()


if __name__ == "__main__":
    main()
