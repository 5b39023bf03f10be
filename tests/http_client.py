"""A browser of sorts: keeps its cookie, shows the CSRF token when it changes something, and holds answers against the document."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raftkafka.cli.layout import HOST

if TYPE_CHECKING:
    from tests.clusters import Cluster


class Browser:
    """Of one node, from the moment it has a session; made in a thread, as everything here that blocks."""

    def __init__(self, cluster: Cluster, node_id: int) -> None:
        self.port = cluster.place(node_id).ports.http
        self.cookie = ""
        self.session: dict[str, Any] = {}
        self._begin()
        status, _, body = self.send("GET", "/api/v1/openapi.json", None, {})
        assert status == 200, body
        self.document = json.loads(body)

    def _begin(self) -> None:
        status, headers, body = self.send("GET", "/api/v1/session", None, {})
        assert status == 200, body
        self.cookie = headers.get("set-cookie", self.cookie).partition(";")[0]
        self.session = json.loads(body)

    def log_in(self, token: str) -> str:
        """The cookie's header."""
        headers = {"Content-Type": "application/json", "X-CSRF-Token": self.session["csrf_token"]}
        status, answer, body = self.send("POST", "/api/v1/login", json.dumps({"token": token}).encode(), headers)
        assert status == 204, body
        self.cookie = answer["set-cookie"].partition(";")[0]
        self._begin()
        return answer["set-cookie"]

    def send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Any request whatever, without anything added but the cookie."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            own = {"Cookie": self.cookie} if self.cookie else {}
            connection.request(method, path, body, {**own, **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and content of `path` below /api/v1."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if method not in {"GET", "HEAD"}:
            given = {"Content-Type": "application/json", "X-CSRF-Token": self.session["csrf_token"], **given}
        raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, content = await asyncio.to_thread(self.send, method, f"/api/v1{path}", raw, given)
        found = json.loads(content) if content else None
        if method != "HEAD":
            self._check(method, path, status, found)
        return status, found

    async def get(self, path: str) -> Any:
        status, found = await self.ask("GET", path)
        assert status == 200, (path, status, found)
        return found

    async def change(self, method: str, path: str, body: object = None) -> Any:
        status, found = await self.ask(method, path, body)
        assert status < 300, (path, status, found)
        return found

    @contextmanager
    def stream(self, path: str) -> Iterator[EventSource]:
        with socket.create_connection((HOST, self.port), timeout=60) as connection:
            head = f"GET /api/v1{path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\nCookie: {self.cookie}\r\n\r\n"
            connection.sendall(head.encode())
            yield EventSource(connection)

    def _check(self, method: str, path: str, status: int, found: Any) -> None:
        """The document allows this answer."""
        import jsonschema

        operation = self._operation(method, path.partition("?")[0])
        if operation is None or status in {405, 431}:
            schema: dict[str, Any] = {"$ref": "#/components/schemas/Error"}
        else:
            assert str(status) in operation["responses"], (method, path, status, found)
            content = operation["responses"][str(status)].get("content")
            if content is None:
                assert found is None
                return
            schema = content["application/json"]["schema"]
        jsonschema.validate(
            found, {**schema, "components": self.document["components"]}, cls=jsonschema.Draft202012Validator
        )

    def _operation(self, method: str, path: str) -> Any:
        for pattern, operations in self.document["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", pattern), path):
                return operations.get(method.lower())
        return None


class EventSource:
    """What a browser makes of a stream of server-sent events; blocks."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def ready(self) -> None:
        """The stream has begun."""
        while b"retry:" not in self._received:
            self._receive()
        head = self._received
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"text/event-stream" in head

    def within(self, seconds: float) -> list[tuple[str, Any]]:
        """The events that come in this time, or the first ones that come at all."""
        deadline = time.monotonic() + seconds
        found: list[tuple[str, Any]] = []
        while not found and time.monotonic() < deadline:
            self._connection.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                self._receive()
            except TimeoutError:
                break
            for match in re.finditer(rb"event: (\w+)\ndata: (.*)\n\n", self._received):
                found.append((match[1].decode(), json.loads(match[2])))
                last = match.end()
            if found:
                self._received = self._received[last:]
        return found

    def _receive(self) -> None:
        data = self._connection.recv(65_536)
        assert data, "the stream has ended"
        self._received += data
