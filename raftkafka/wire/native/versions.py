"""Which APIs, in which versions, this end of a connection speaks: what ApiVersions is answered with. Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.cluster import ApiVersionRange, ApiVersionsResponse
from raftkafka.wire.native.apis import APIS, HOMES

API_VERSIONS_RESPONSE: Final = ApiVersionsResponse(
    api_keys=tuple(
        ApiVersionRange(api_key=int(key), min_version=APIS[key].min_version, max_version=APIS[key].max_version)
        for key in sorted(HOMES)
    )
)
