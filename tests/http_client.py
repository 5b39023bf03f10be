"""A browser of sorts: keeps its cookie, and shows the CSRF token when it changes something."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

from raftkafka.cli.layout import HOST

if TYPE_CHECKING:
    from tests.clusters import Cluster


class Browser:
    """Of one node, from the moment it has a session; made in a thread, as everything here that blocks."""

    def __init__(self, cluster: Cluster, node_id: int) -> None:
        self.port = cluster.place(node_id).ports.http
        self.cookie = ""
        status, headers, body = self.send("GET", "/api/v1/session", b"", {})
        assert status == 200, body
        self.cookie = headers["set-cookie"].partition(";")[0]
        self.session = json.loads(body)

    def send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Any request whatever, without anything added."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            own = {"Cookie": self.cookie} if self.cookie else {}
            connection.request(method, path, body or None, {**own, **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and document of `path` below /api/v1."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if method not in {"GET", "HEAD"}:
            given = {"Content-Type": "application/json", "X-CSRF-Token": self.session["csrf_token"], **given}
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, content = await asyncio.to_thread(self.send, method, f"/api/v1{path}", raw, given)
        return status, json.loads(content) if content else None

    async def get(self, path: str) -> Any:
        status, document = await self.ask("GET", path)
        assert status == 200, (path, status, document)
        return document

    async def change(self, method: str, path: str, body: object = None) -> Any:
        status, document = await self.ask(method, path, body)
        assert status < 300, (path, status, document)
        return document
