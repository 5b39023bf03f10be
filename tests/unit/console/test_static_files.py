"""The pages: what is there, its types, and that no other path reaches a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from raftkafka.console.static_files import TYPES, StaticFiles


def ask(files: StaticFiles, path: str, **headers: str) -> tuple[int, dict[str, str], bytes] | None:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    answer = files.answer(Request({"type": "http", "method": "GET", "path": path, "headers": raw}))
    return None if answer is None else (answer.status_code, dict(answer.headers), bytes(answer.body))


@pytest.fixture
def files(tmp_path: Path) -> StaticFiles:
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("<p>")
    (tmp_path / "js" / "a.js").write_text("1")
    (tmp_path / "secret").write_text("x")
    (tmp_path / ".hidden.js").write_text("x")
    (tmp_path / "source.py").write_text("x")
    return StaticFiles(tmp_path)


def test_only_files_of_known_types_are_there(files: StaticFiles) -> None:
    assert files.paths == ["/", "/index.html", "/js/a.js"]
    answer = ask(files, "/js/a.js")
    assert answer is not None
    assert answer[1]["content-type"] == "text/javascript; charset=utf-8"
    for path in ("/js", "/js/", "/secret", "/../secret", "/js/../secret", "/js/%2e%2e/secret", "//index.html", ""):
        assert ask(files, path) is None, path


def test_what_has_not_changed_is_not_sent_again(files: StaticFiles) -> None:
    first = ask(files, "/")
    assert first is not None
    assert first[2] == b"<p>"
    etag = first[1]["etag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        again = ask(files, "/", if_none_match=known)
        assert again is not None
        assert (again[0], again[2]) == (304, b"")
    other = ask(files, "/", if_none_match='"x"')
    assert other is not None
    assert other[0] == 200


def test_our_own_pages() -> None:
    own = StaticFiles()
    assert "/" in own.paths
    page = ask(own, "/")
    assert page is not None
    assert page[1]["content-type"] == TYPES[".html"]
    # The policy lets no script run that stands in a page.
    assert b"<script>" not in page[2]
    assert b"onclick" not in page[2]
