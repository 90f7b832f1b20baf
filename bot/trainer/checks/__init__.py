"""What is wrong with the project's files: `planton check`, its page, and an example while it is written.

    check_all(project)                          # everything, a few seconds; with_rasa: ten more
    check_example(Context.of(project), intent, marked)   # one example, milliseconds

One module a family: `doubles`, `examples`, `gold`, `intents`, `lists`, `stories`, `rasa`; the catalogue's are
`answers`, `answer_facts` and `answer_examples`, the replies' is `bot.trainer.reply_checks`.
"""

from bot.trainer.checks.all import check_all, check_example
from bot.trainer.checks.context import Context
from bot.trainer.checks.finding import Finding

__all__ = ["Context", "Finding", "check_all", "check_example"]
