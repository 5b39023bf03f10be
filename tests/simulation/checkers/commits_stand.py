"""I11: commits are monotone per (group, generation); an older generation or a zombie coordinator is refused.

An owner begins where the last one was told it had come to: every acknowledged commit of an older generation stands, and so does
every one of this generation that was acknowledged before the question. What is assigned ends all older generations.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import CommittedTo, History


def check(history: History) -> Iterator[str]:
    if history.stranded or len(history.lossy) >= history.min_insync_replicas:
        return
    yield from _outdated(history)
    for found in history.found_committed:
        for commit in history.committed_to:
            stands = commit.generation < found.generation or (
                commit.generation == found.generation and commit.at < found.asked_at
            )
            if commit.partition == found.partition and stands and commit.offset > found.offset:
                yield (
                    f"I11: {found.member} found partition {found.partition} at {found.offset} in generation "
                    f"{found.generation} at {found.asked_at:.3f}, but {_said(commit)}"
                )
    last: dict[tuple[int, int], CommittedTo] = {}
    for commit in sorted(history.committed_to, key=lambda each: each.sent_at):
        before = last.setdefault((commit.generation, commit.partition), commit)
        if commit.sent_at > before.at and commit.offset < before.offset:
            yield f"I11: {_said(commit)}, after {_said(before)}"
        if commit.offset >= before.offset:
            last[commit.generation, commit.partition] = commit


def _outdated(history: History) -> Iterator[str]:
    """Commits of a generation, sent when a newer one had been assigned, that were acknowledged."""
    newest: list[tuple[float, int]] = []
    for each in history.assigned:
        if not newest or each.generation > newest[-1][1]:
            newest.append((each.at, each.generation))
    for commit in history.committed_to:
        for at, generation in newest:
            if at < commit.sent_at and generation > commit.generation:
                yield f"I11: {_said(commit)}, although generation {generation} was assigned at {at:.3f}"
                break


def _said(commit: CommittedTo) -> str:
    return (
        f"{commit.member} was told at {commit.at:.3f} that {commit.offset} of partition {commit.partition}, "
        f"sent at {commit.sent_at:.3f} in generation {commit.generation}, is committed"
    )
