"""Teams: who belongs to which. A hand-off may be given to a team instead of a person."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from bot.store import audit, news
from bot.store.accounts import NAME_AT_MOST, AccountError, User
from bot.store.db import Database


@dataclass(frozen=True)
class Team:
    """A team and the ids of its members."""

    id: int
    name: str
    members: tuple[int, ...]


class Teams:
    """Teams that are not archived."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def all(self) -> list[Team]:
        """Every team by name, disabled members left out."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT t.id, t.name, array_remove(array_agg(u.id ORDER BY u.name), NULL) AS members
                    FROM teams t LEFT JOIN team_members m ON m.team_id = t.id
                    LEFT JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL
                    WHERE t.archived_at IS NULL GROUP BY t.id ORDER BY t.name
                """)
            )
            return [Team(row.id, row.name, tuple(row.members)) for row in rows]

    async def of(self, user: User) -> frozenset[int]:
        """The ids of the teams that this user is in."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT m.team_id FROM team_members m JOIN teams t ON t.id = m.team_id
                    WHERE m.user_id = :user AND t.archived_at IS NULL
                """),
                {"user": user.id},
            )
            return frozenset(row.team_id for row in rows)

    async def add(self, by: User, name: str, now: datetime) -> int:
        """Create a team; its id. Raises AccountError when the name does not do or is taken."""
        name = _checked(name)
        try:
            async with self._db.begin() as connection:
                team = await connection.scalar(
                    text("INSERT INTO teams (name, created_at) VALUES (:name, :now) RETURNING id"),
                    {"name": name, "now": now},
                )
                await audit.record(connection, now, by.id, "team_added", team=team, name=name)
                await news.topic(connection, "teams")
        except IntegrityError:
            raise _taken(name) from None
        assert team is not None
        return int(team)

    async def change(self, by: User, team_id: int, name: str, members: Collection[int], now: datetime) -> None:
        """Name and members as given; ids of accounts that do not exist are left out. Raises AccountError."""
        name = _checked(name)
        values = {"id": team_id, "name": name, "members": sorted(members)}
        try:
            async with self._db.begin() as connection:
                changed = await connection.execute(
                    text("UPDATE teams SET name = :name WHERE id = :id AND archived_at IS NULL"), values
                )
                if changed.rowcount != 1:
                    raise AccountError("Cette équipe n’existe plus.", "Revenez à la liste des équipes.")
                await connection.execute(
                    text("DELETE FROM team_members WHERE team_id = :id AND user_id <> ALL(CAST(:members AS bigint[]))"),
                    values,
                )
                await connection.execute(
                    text("""
                        INSERT INTO team_members (team_id, user_id)
                        SELECT :id, id FROM users WHERE id = ANY(CAST(:members AS bigint[])) ON CONFLICT DO NOTHING
                    """),
                    values,
                )
                found = await connection.scalars(
                    text("SELECT user_id FROM team_members WHERE team_id = :id ORDER BY user_id"), values
                )
                await audit.record(
                    connection, now, by.id, "team_changed", team=team_id, name=name, members=list(found.all())
                )
                await news.topic(connection, "teams")
        except IntegrityError:
            raise _taken(name) from None

    async def archive(self, by: User, team_id: int, now: datetime) -> None:
        """The team is no longer offered; what it was given keeps its name. Its open hand-offs wait for anyone again."""
        async with self._db.begin() as connection:
            done = await connection.execute(
                text("UPDATE teams SET archived_at = :now WHERE id = :id AND archived_at IS NULL"),
                {"id": team_id, "now": now},
            )
            if done.rowcount != 1:
                return
            await connection.execute(
                text("UPDATE handoffs SET team_id = NULL WHERE team_id = :id AND closed_at IS NULL"), {"id": team_id}
            )
            await audit.record(connection, now, by.id, "team_archived", team=team_id)
            await news.topic(connection, "teams")


def _checked(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_AT_MOST or not name.isprintable():
        raise AccountError("Ce nom d’équipe ne convient pas.", f"Donnez un nom de 1 à {NAME_AT_MOST} caractères.")
    return name


def _taken(name: str) -> AccountError:
    return AccountError(f"L’équipe «\u00a0{name}\u00a0» existe déjà.", "Choisissez un autre nom.")
