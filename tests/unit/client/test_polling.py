"""Who asks for busy polling gets it, in microseconds; what makes no sense is refused where it is said."""

from __future__ import annotations

import pytest

from raftkafka.client import Consumer, Producer
from raftkafka.client.polling import BUSY_POLL_US, busy_poll
from raftkafka.model.errors import ConfigurationError

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize("kind", [Producer, Consumer])
@pytest.mark.parametrize(("given", "seconds"), [({}, BUSY_POLL_US / 1e6), ({"busy_poll_us": 70}, 70e-6)])
async def test_connections_of_a_client_poll_for_what_was_given(kind, given, seconds, monkeypatch):
    opened = []

    async def connection(host, port, **options):
        opened.append(options["busy_poll"])
        raise OSError("nobody is there")

    monkeypatch.setattr("raftkafka.client.connection.Connection.open", connection)
    client = kind(NOBODY, **given)
    await client.start()
    try:
        with pytest.raises(OSError, match="nobody"):
            await client._connect("127.0.0.1", 1)
    finally:
        await client.stop()
    assert opened[0] is not None
    assert opened[0]._max_s == pytest.approx(seconds)


@pytest.mark.parametrize("kind", [Producer, Consumer])
@pytest.mark.parametrize("wrong", [-1, 10_001, 10**400, 1.5, float("inf"), float("nan"), "abc", None, True])
def test_what_is_no_time_is_refused(kind, wrong):
    with pytest.raises(ConfigurationError, match="busy_poll_us is a whole number from 0 to 10000"):
        kind(NOBODY, busy_poll_us=wrong)


async def test_nothing_polls_where_it_is_switched_off():
    assert busy_poll(0) is None
    assert busy_poll(1) is not None
