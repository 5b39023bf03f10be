"""What clients ask of any broker, and the controller decides.

Floor 3. The answer waits until this broker's own image shows the change, so that who asked and looks again sees it: the
handlers do that with `APPLY_WAIT_S`, because only they know what has to be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.model.api import Request
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError

FORWARD_LANE: Final = "forward"
FORWARD_TIMEOUT_MAX_S: Final = 30.0

_Answer = TypeVar("_Answer")


async def forward(
    channel: ControllerChannel,
    context: RequestContext,
    request: Request,
    kind: type[_Answer],
    *,
    timeout_ms: int,
    refused: Callable[[ApiError], _Answer],
) -> _Answer:
    """The controller's answer, which is a `kind`; when it cannot be had, what `refused` makes of the reason."""
    try:
        answer = await channel.ask(
            request, timeout_s=patience_s(timeout_ms), forward=not context.is_node, lane=FORWARD_LANE
        )
    except ApiError as error:
        return refused(error)
    assert isinstance(answer, kind)
    return answer


def patience_s(timeout_ms: int) -> float:
    """How long to wait for the controller: what the client allows, within reason."""
    return min(FORWARD_TIMEOUT_MAX_S, max(0.1, timeout_ms / 1000))
