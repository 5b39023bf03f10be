"""How a client comes: a new session, or an old one at another door. Floor 0."""

from __future__ import annotations

from typing import Final

from raftkafka.model.passing import passing_value

PASSWORD_BYTES: Final = 16
NO_SESSION: Final = 0
NO_PASSWORD: Final = bytes(PASSWORD_BYTES)


@passing_value
class ConnectRequest:
    """`session_id` NO_SESSION asks for a new session; any other one is proved by its password.

    A client that has seen a later zxid than this node has applied must not be let in: time would go back for it.
    """

    timeout_ms: int
    session_id: int = NO_SESSION
    password: bytes = NO_PASSWORD
    last_zxid_seen: int = 0
    read_only: bool = False
    """It is content with a server that cannot write."""
    protocol_version: int = 0


@passing_value
class ConnectResponse:
    """`timeout_ms` is what was agreed upon. NO_SESSION with no timeout: the session is over; the connection closes then."""

    timeout_ms: int
    session_id: int
    password: bytes = NO_PASSWORD
    read_only: bool = False
    protocol_version: int = 0

    @property
    def refused(self) -> bool:
        return self.session_id == NO_SESSION


EXPIRED: Final = ConnectResponse(timeout_ms=0, session_id=NO_SESSION)
