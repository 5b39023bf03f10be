"""I16: every node applies the same commands in the same order, and its applied index only rises in one life."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import Applied, History, Restored


def check(history: History) -> Iterator[str]:
    commands: dict[int, tuple[bytes, str]] = {}
    reached: dict[tuple[str, int], int] = {}
    events: list[Applied | Restored] = [*history.applied, *history.restored]
    for event in sorted(events, key=lambda each: each.at):
        life = event.node, event.life
        if event.index <= reached.get(life, -1):
            yield f"I16: {event.node} applies {event.index} after {reached[life]} at {event.at:.3f}"
        reached[life] = event.index
        if isinstance(event, Applied):
            command, first = commands.setdefault(event.index, (event.command, event.node))
            if command != event.command:
                yield f"I16: entry {event.index} is one command on {first} and another on {event.node}"
