"""The asking side of an incremental fetch session (KIP-227), for followers and consumers alike.

Floor 1, pure. Invariant: `rows` is what the leader believes this side to ask for. After anything that leaves that in doubt
(`lost`) the next request is whole.
"""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.fetch import FetchPartition, FetchResponse, ForgottenPartition
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import TopicPartition

NO_SESSION: Final = 0
FINAL_EPOCH: Final = -1
INITIAL_EPOCH: Final = 0
_EPOCH_MAX: Final = (1 << 31) - 1


def next_epoch(epoch: int) -> int:
    """The epoch after this one; it wraps around to 1, because 0 begins a session."""
    return 1 if epoch >= _EPOCH_MAX else epoch + 1


class AskingSession:
    """One per leader. Call `ask` and `forget` for what has changed, `take_forgotten` and the ids for the request, then
    `answered` or `lost`. `refused`: the leader's last answer gave no session, so every request is whole."""

    __slots__ = ("_forgotten", "epoch", "refused", "rows", "session_id")

    def __init__(self) -> None:
        self.session_id = NO_SESSION
        self.refused = False
        self.epoch = INITIAL_EPOCH
        self.rows: dict[TopicPartition, FetchPartition] = {}
        self._forgotten: dict[TopicPartition, None] = {}

    @property
    def is_whole(self) -> bool:
        """The next request has to name every partition."""
        return self.epoch == INITIAL_EPOCH

    def ask(self, key: TopicPartition, row: FetchPartition) -> None:
        """`row` is in the next request."""
        self.rows[key] = row
        self._forgotten.pop(key, None)

    def forget(self, key: TopicPartition) -> None:
        """The partition is not asked for any more."""
        if self.rows.pop(key, None) is not None and not self.is_whole:
            self._forgotten[key] = None

    def take_forgotten(self) -> tuple[ForgottenPartition, ...]:
        """What the next request has to take out of the session."""
        if not self._forgotten:
            return ()
        forgotten, self._forgotten = self._forgotten, {}
        return tuple([ForgottenPartition(topic_id=key.topic_id, partition=key.partition) for key in forgotten])

    def answered(self, answer: FetchResponse) -> bool:
        """False when the leader does not know the session, or not in this epoch: ask again, whole."""
        if answer.error_code is not ErrorCode.NONE:
            self.lost(gone=answer.error_code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            return False
        self.refused = answer.session_id == NO_SESSION
        if self.refused:
            self.lost(gone=True)
        else:
            self.session_id = answer.session_id
            self.epoch = next_epoch(self.epoch)
        return True

    def lost(self, *, gone: bool = False) -> None:
        """Begin again. The old session is closed by the way, unless it is `gone` already."""
        if gone:
            self.session_id = NO_SESSION
        self.epoch = INITIAL_EPOCH
        self.rows = {}  # a new one: an answer may still be read against the old one
        self._forgotten.clear()
