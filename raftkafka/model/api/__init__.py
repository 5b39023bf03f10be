"""Request and response values, a module per API family. Handlers see these and nothing of the wire.

Floor 0. Every request class names its `api_key`; `Request` and `Response` are the unions that dispatch and sessions speak of. They
are for annotations: at run time they are `object`, so that a command does not make a hundred classes to send one request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftkafka.model.api.keys import ApiKey

if TYPE_CHECKING:
    from raftkafka.model.api.messages import Request, Response
else:
    Request = Response = object

__all__ = ["ApiKey", "Request", "Response"]
