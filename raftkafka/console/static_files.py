"""The pages: files of this package, read once and kept. Floor 4.

Paths are looked up in a table of what there is, so no path that somebody makes up reaches the file system.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""By the end of a name; a file with any other end is not served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    content: bytes
    content_type: str
    etag: str


class StaticFiles:
    """By path: `/` is index.html."""

    def __init__(self, root: Traversable | None = None) -> None:
        self._files: dict[str, StaticFile] = {}
        self._add(root if root is not None else files("raftkafka.console") / "static", "/")
        if "/index.html" in self._files:
            self._files["/"] = self._files["/index.html"]

    @property
    def paths(self) -> list[str]:
        return sorted(self._files)

    def answer(self, request: Request) -> Response | None:
        """None for a path that is no file of ours."""
        file = self._files.get(request.scope["path"])
        if file is None:
            return None
        # Always asked again, answered without a body as long as the file is the same: a new version is never half there.
        headers = {"etag": file.etag, "cache-control": "no-cache"}
        wanted = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
        if file.etag in wanted or "*" in wanted:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers={**headers, "content-type": file.content_type})

    def _add(self, directory: Traversable, path: str) -> None:
        for each in sorted(directory.iterdir(), key=lambda entry: entry.name):
            if each.is_dir():
                self._add(each, f"{path}{each.name}/")
                continue
            content_type = TYPES.get(each.name[each.name.rfind(".") :])
            if content_type is None or each.name.startswith("."):
                continue
            content = each.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            self._files[path + each.name] = StaticFile(content=content, content_type=content_type, etag=etag)
