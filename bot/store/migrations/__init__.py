"""Alembic migrations, run by `bot.store.db.migrate` under an advisory lock."""
