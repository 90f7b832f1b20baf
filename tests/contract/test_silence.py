"""A database on another machine: both ends of a connection notice that the other one is gone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.monitor.board import Board
from bot.store.db import SILENCE, Database, Listener, connect
from bot.store.embedded import Embedded

OPTIONS = (4, 5, 6, 18)  # TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT
ADDRESS = "127.77.31.7"  # loopback too, and nobody's: PostgreSQL keeps its usual port
_ITS = """SELECT current_setting('tcp_keepalives_idle') AS idle, current_setting('tcp_keepalives_interval') AS every,
                 current_setting('tcp_keepalives_count') AS count, current_setting('tcp_user_timeout') AS silence"""


@pytest.fixture(scope="module")
def networked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that listens on the network, and its address."""
    quick = {"fsync": "off", "listen_addresses": ADDRESS, "shared_buffers": "16MB", "max_connections": "10"}
    folder: Path = tmp_path_factory.mktemp("networked")
    with Embedded(folder, quick):
        yield f"postgresql://planton@{ADDRESS}/planton"


async def test_both_ends_of_a_connection_over_the_network_ask_whether_the_other_is_there(networked: str) -> None:
    connection = await connect(networked, "test")
    try:
        with socket.socket(fileno=connection.fileno()) as ours:
            try:
                asks = [ours.getsockopt(socket.IPPROTO_TCP, name) for name in OPTIONS]
            finally:
                ours.detach()
        its = await (await connection.execute(_ITS)).fetchone()
    finally:
        await connection.close()
    assert asks == [5, 2, 3, SILENCE * 1000]
    assert its == ("5", "2", "3", str(SILENCE * 1000))


async def test_what_the_url_says_goes_first(networked: str) -> None:
    connection = await connect(f"{networked}?keepalives_idle=60&tcp_user_timeout=0", "test")
    try:
        with socket.socket(fileno=connection.fileno()) as ours:
            try:
                asks = [ours.getsockopt(socket.IPPROTO_TCP, name) for name in (4, 5, 18)]
            finally:
                ours.detach()
    finally:
        await connection.close()
    assert asks == [60, 2, 0]


async def test_pool_and_listener_connect_that_way(networked: str) -> None:
    database, listener = Database(networked, size=1), Listener(networked, ("planton_due",))
    listener.start()
    try:
        async with database.engine.connect() as connection:
            first = (await connection.exec_driver_sql(_ITS)).one()
            await connection.rollback()  # settings that a rollback takes back would be those of one transaction only
            assert (await connection.exec_driver_sql(_ITS)).one() == first == ("5", "2", "3", str(SILENCE * 1000))
        assert await listener.wait("planton_due", 5)  # said once it listens
    finally:
        await listener.close()
        await database.close()


def test_the_machine_that_tells_alerts_for_all_lets_go_when_it_vanishes(networked: str) -> None:
    board = Board(networked)
    try:
        its = board.ask(lambda connection, leads: (leads, connection.execute(_ITS).fetchone()))
    finally:
        board.close()
    assert its == (True, {"idle": "5", "every": "2", "count": "3", "silence": str(SILENCE * 1000)})
