"""Who asks over HTTP: sessions, tokens, names and origins, and everything a page of somebody else may try."""

from __future__ import annotations

import json

import pytest

from raftkafka.listeners.http import access as access_module
from raftkafka.listeners.http.access import FAILURE_S, FAILURES_MAX, SESSION_S, Access
from raftkafka.listeners.http.hosts import allowed_hosts, host_name, is_same_origin
from raftkafka.model.settings.values import Listener
from raftkafka.ports.access import TooManyFailuresError
from tests.unit.listeners.http.conftest import COOKIE, Make, World, body, exchange, request_of, status

TOKEN = b"a token of the operator"


def access_of(token: bytes | None = TOKEN) -> tuple[Access, list[float]]:
    clock = [100.0]
    return Access(token=token, cookie_name=COOKIE, now=lambda: clock[0]), clock


def test_a_login_lasts_its_time() -> None:
    access, clock = access_of()
    session = access.new_session(logged_in=True)
    assert access.caller(cookie=session, bearer=None, address="a").user == "admin"
    clock[0] += SESSION_S
    assert access.caller(cookie=session, bearer=None, address="a").user is None


def test_logging_out_ends_a_login() -> None:
    access, _ = access_of()
    session = access.new_session(logged_in=True)
    access.log_out(session)
    caller = access.caller(cookie=session, bearer=None, address="a")
    assert not access.may_ask(caller)


def test_logins_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "SESSIONS_MAX", 2)
    access, _ = access_of()
    sessions = [access.new_session(logged_in=True) for _ in range(3)]
    users = [access.caller(cookie=each, bearer=None, address="a").user for each in sessions]
    assert users == [None, "admin", "admin"]


@pytest.mark.parametrize("cookie", ["", ".", "x", "x.y", "\udcff.\udcff", "a" * 4_000])
def test_a_made_up_cookie_is_nobody(cookie: str) -> None:
    access, _ = access_of()
    assert access.caller(cookie=cookie, bearer=None, address="a").session_id is None


def test_a_cookie_of_another_node_is_nobody() -> None:
    here, there = access_of()[0], access_of()[0]
    assert here.caller(cookie=there.new_session(logged_in=True), bearer=None, address="a").session_id is None


def test_csrf_tokens_are_bound_to_their_session() -> None:
    access, _ = access_of()
    mine, other = access.new_session(logged_in=False), access.new_session(logged_in=False)
    assert access.is_csrf_token(mine, access.csrf_token(mine))
    assert not access.is_csrf_token(mine, access.csrf_token(other))
    assert not access.is_csrf_token(mine, "")
    assert not access.is_csrf_token(mine, "\udcff")


def test_wrong_tokens_cost_time_and_only_their_sender() -> None:
    access, clock = access_of()
    for _ in range(FAILURES_MAX):
        assert not access.is_token("wrong", "1.1.1.1")
    with pytest.raises(TooManyFailuresError) as refused:
        access.is_token(TOKEN.decode(), "1.1.1.1")
    assert 0 < refused.value.wait_s <= FAILURE_S
    assert access.is_token(TOKEN.decode(), "2.2.2.2")
    clock[0] += FAILURE_S
    assert access.is_token(TOKEN.decode(), "1.1.1.1")
    assert not access.is_token("wrong", "1.1.1.1"), "and the count begins anew"


def test_addresses_that_fail_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_module, "ADDRESSES_MAX", 10)
    access, _ = access_of()
    for number in range(100):
        access.is_token("wrong", str(number))
    assert len(access._failures) == 10


def test_without_a_token_nobody_has_one() -> None:
    access, _ = access_of(None)
    assert not access.is_token("", "a")
    assert access.may_ask(access.caller(cookie=None, bearer=None, address="a"))


@pytest.mark.parametrize(
    ("listener", "given", "host", "expected"),
    [
        ("127.0.0.1", (), "localhost:9644", True),
        ("127.0.0.1", (), "evil.example", False),
        ("127.0.0.1", ("console.example",), "console.example", True),
        ("127.0.0.1", ("console.example",), "localhost", True),
        ("127.0.0.1", (), "", False),
        ("::1", (), "[::1]:9644", True),
        ("10.0.0.5", (), "10.0.0.5:9644", True),
        ("10.0.0.5", (), "node5.example:9644", True),
        ("10.0.0.5", (), "node6.example", False),
        ("10.0.0.5", ("a.example",), "A.EXAMPLE:1", True),
        ("10.0.0.5", ("a.example",), "10.0.0.5", False),
        ("10.0.0.5", ("a.example",), "localhost", False),
        ("", (), "node5.example", True),
        ("", (), "localhost", True),
        ("", (), "0.0.0.0", False),
        ("", ("*",), "whatever", True),
        ("", ("::1",), "[::1]:80", True),
    ],
)
def test_names_that_are_answered(listener: str, given: tuple[str, ...], host: str, expected: bool) -> None:
    hosts = allowed_hosts(
        Listener(name="HTTP", host=listener, port=9644), given=given, advertised=["node5.example", "node5.internal"]
    )
    assert hosts.allow(host) is expected


@pytest.mark.parametrize(
    ("host", "name"), [("a:1", "a"), ("[::1]:2", "::1"), ("[::1", "::1"), (" A ", "a"), ("", ""), (":", "")]
)
def test_the_name_in_a_host(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("http://localhost:9644", "localhost:9644", True),
        ("https://localhost:9644", "LOCALHOST:9644", True),
        ("http://localhost:9645", "localhost:9644", False),
        ("http://localhost", "localhost:9644", False),
        ("null", "localhost:9644", False),
        ("", "", False),
        ("http://", "", True),  # nothing is served without a name, so this is no way in
        ("file://localhost:9644", "localhost:9644", False),
        ("http://localhost:9644.evil.example", "localhost:9644", False),
        ("http://evil.example/localhost:9644", "localhost:9644", False),
    ],
)
def test_origins(origin: str, host: str, expected: bool) -> None:
    assert is_same_origin(origin, host) is expected


def change(
    world: World, session: str | None, csrf: str | None, *, path: str = "/api/v1/topics", **headers: str
) -> bytes:
    found = {"Content_Type": "application/json", **headers}
    if session is not None:
        found["Cookie"] = f"{COOKIE}={session}"
    if csrf is not None:
        found["X_CSRF_Token"] = csrf
    return request_of(path, method="POST", host=f"localhost:{world.port}", body=b"{}", **found)


async def code(world: World, request: bytes) -> tuple[int, str]:
    answer = await exchange(world.port, request)
    if status(answer) == 200:
        return 200, ""
    return status(answer), json.loads(body(answer))["error"]["code"]


async def test_changes_need_a_session_and_its_token(world: World) -> None:
    mine, other = world.access.new_session(logged_in=False), world.access.new_session(logged_in=False)
    csrf = world.access.csrf_token(mine)
    own = f"http://localhost:{world.port}"
    assert await code(world, change(world, mine, csrf)) == (200, "")
    assert await code(world, change(world, mine, csrf, Origin=own)) == (200, "")
    assert await code(world, change(world, mine, csrf, Sec_Fetch_Site="same-origin")) == (200, "")
    before = list(world.pages.asked)
    assert await code(world, change(world, mine, None)) == (403, "CSRF_TOKEN_INVALID")
    assert await code(world, change(world, None, csrf)) == (403, "CSRF_TOKEN_INVALID")
    assert await code(world, change(world, other, csrf)) == (403, "CSRF_TOKEN_INVALID")
    assert await code(world, change(world, mine, csrf, Origin="http://evil.example")) == (403, "FORBIDDEN_ORIGIN")
    assert await code(world, change(world, mine, csrf, Origin="null")) == (403, "FORBIDDEN_ORIGIN")
    assert await code(world, change(world, mine, csrf, Sec_Fetch_Site="cross-site")) == (403, "FORBIDDEN_ORIGIN")
    assert await code(world, change(world, mine, csrf, Content_Type="text/plain")) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert world.pages.asked == before, "nothing of it has reached the console"


async def test_pages_of_others_read_nothing_either(world: World) -> None:
    request = request_of("/api/v1/topics", Sec_Fetch_Site="cross-site")
    assert await code(world, request) == (403, "FORBIDDEN_ORIGIN")
    # But a link to our pages works, as every link.
    assert await code(world, request_of("/", Sec_Fetch_Site="cross-site")) == (200, "")


async def test_with_a_token_everything_but_the_pages_needs_a_login(make: Make) -> None:
    world = await make(token=TOKEN)
    assert await code(world, request_of("/api/v1/topics")) == (401, "LOGIN_REQUIRED")
    for path in ("/", "/api/v1/session", "/metrics", "/health/live"):
        assert await code(world, request_of(path)) == (200, "")
    anonymous = world.access.new_session(logged_in=False)
    csrf = world.access.csrf_token(anonymous)
    assert await code(world, change(world, anonymous, csrf)) == (401, "LOGIN_REQUIRED")
    assert await code(world, change(world, anonymous, csrf, path="/api/v1/login")) == (200, "")
    assert await code(world, change(world, anonymous, None, path="/api/v1/login")) == (403, "CSRF_TOKEN_INVALID")
    session = world.access.new_session(logged_in=True)
    assert await code(world, change(world, session, world.access.csrf_token(session))) == (200, "")
    assert await code(world, change(world, session, csrf)) == (403, "CSRF_TOKEN_INVALID")


async def test_programs_show_the_token_each_time(make: Make) -> None:
    world = await make(token=TOKEN)
    right = f"Bearer {TOKEN.decode()}"
    assert await code(world, request_of("/api/v1/topics", Authorization=right)) == (200, "")
    assert await code(world, change(world, None, None, Authorization=right)) == (200, "")
    assert await code(world, change(world, None, None, Authorization=right, Origin="http://evil.example")) == (
        403,
        "FORBIDDEN_ORIGIN",
    )
    for wrong in ("Bearer nonsense", "Bearer", "Basic YTpi"):
        assert await code(world, request_of("/api/v1/topics", Authorization=wrong)) == (401, "LOGIN_REQUIRED")


async def test_too_many_wrong_tokens_are_told_to_wait(make: Make) -> None:
    world = await make(token=TOKEN)
    for _ in range(FAILURES_MAX):
        await exchange(world.port, request_of("/api/v1/topics", Authorization="Bearer nonsense"))
    answer = await exchange(world.port, request_of("/api/v1/topics", Authorization=f"Bearer {TOKEN.decode()}"))
    assert status(answer) == 429
    assert b"retry-after: 10" in answer
    assert status(await exchange(world.port, request_of("/metrics"))) == 200
