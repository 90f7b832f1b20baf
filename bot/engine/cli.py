"""Rasa's own command line, the same but faster: TensorFlow is imported only where it is needed, a file's form checked once."""

from __future__ import annotations

from bot.engine import light


def main() -> None:
    """As `python -m rasa`."""
    light.without(light.NETWORKS)
    light.check_once()
    from rasa.__main__ import main as rasa

    rasa()


if __name__ == "__main__":
    main()
