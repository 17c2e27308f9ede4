"""A process that is killed again and again while it writes access events; run as a program.

Belongs here: the rounds of start, write, kill. Does not belong here: what is checked (``test_audit_kill.py``).
The parent never opens the log. A child acknowledges an event by its number on a pipe, after ``record``
returned; the parent kills it with SIGKILL at a seeded moment and reads what was acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.lib.audit import a_log, an_event

TASKS = 8
PER_ROUND = 1_000_000


def write_for_ever(folder: Path, first: int, pipe: int) -> None:
    """Eight callers record events as fast as they are durable; each is acknowledged once it is."""

    async def one(log: object, offset: int) -> None:
        number = first + offset
        while True:
            await log.record(an_event(number, 9000000009))  # type: ignore[attr-defined]
            os.write(pipe, f"{number}\n".encode())
            number += TASKS

    async def all_of_them() -> None:
        log = a_log(folder)
        await asyncio.gather(*(one(log, offset) for offset in range(TASKS)))

    asyncio.run(all_of_them())


def one_round(folder: Path, first: int, wait: float) -> list[int]:
    """Numbers acknowledged before the kill; the clock starts at the first one."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write_for_ever(folder, first, writer)
    os.close(writer)
    received = os.read(reader, 1)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    while part := os.read(reader, 65_536):
        received += part
    os.close(reader)
    os.waitpid(child, 0)
    return [int(line) for line in received.splitlines()]


def main(folder: str, rounds: str, seed: str) -> None:
    """Print the acknowledged numbers as JSON."""
    moments = random.Random(int(seed))
    acknowledged: list[int] = []
    for number in range(int(rounds)):
        acknowledged += one_round(Path(folder), number * PER_ROUND + 1, moments.uniform(0.0, 0.05))
    sys.stdout.write(json.dumps(acknowledged))


if __name__ == "__main__":
    main(*sys.argv[1:])
