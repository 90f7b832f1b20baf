"""Requests a second and CPU a request of one HTTP client on the sender's path (see docs/decisions/http-client.md).

python -m bot.sandbox.graph --port 8071 --latency 0.1 &
python scripts/bench_http_client.py aiohttp|httpx [concurrent] [requests]
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

URL = "http://127.0.0.1:8071/v26.0/1/messages"
HEADERS = {"Authorization": "Bearer token"}
Post = Callable[[dict[str, Any]], Awaitable[int]]


def body(number: int) -> dict[str, Any]:
    """The body that the sender posts."""
    proof = hmac.new(b"secret", b"token", hashlib.sha256).hexdigest()
    message = {
        "text": "Bonjour, je suis un assistant automatique. " * 8,
        "metadata": f"pl1.{number}.0123456789abcdef0123",
    }
    return {
        "recipient": {"id": str(number)},
        "messaging_type": "RESPONSE",
        "message": message,
        "appsecret_proof": proof,
    }


async def measure(post: Post, concurrent: int, requests: int) -> None:
    """Print one line of figures."""
    numbers = iter(range(requests))
    delays: list[float] = []

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            assert await post(body(number)) == 200
            delays.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrent)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    delays.sort()
    print(
        f"{sys.argv[1]}: {requests / took:.0f} requests/s, {cpu / requests * 1000:.2f} ms CPU a request, "
        f"median {statistics.median(delays) * 1000:.0f} ms, 99 % {delays[int(len(delays) * 0.99)] * 1000:.0f} ms"
    )


async def main(client: str, concurrent: int = 64, requests: int = 3000) -> None:
    """Measure one client."""
    if client == "aiohttp":
        import aiohttp

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrent)) as session:

            async def post(data: dict[str, Any]) -> int:
                async with session.post(URL, json=data, headers=HEADERS) as response:
                    await response.json()
                    return response.status

            await measure(post, concurrent, requests)
    else:
        import httpx

        limits = httpx.Limits(max_connections=concurrent, max_keepalive_connections=concurrent)
        async with httpx.AsyncClient(limits=limits, timeout=15) as http:

            async def post_httpx(data: dict[str, Any]) -> int:
                response = await http.post(URL, json=data, headers=HEADERS)
                response.json()
                return response.status_code

            await measure(post_httpx, concurrent, requests)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(int(value) for value in sys.argv[2:4])))
