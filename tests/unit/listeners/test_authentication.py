"""Nodes prove themselves on a connection; everybody else stays a client."""

from __future__ import annotations

import pytest

from raftkafka.client.connection import Connection, ConnectionClosedError, ConnectionFailedError, NodeCredentials
from raftkafka.model.api.cluster import ApiVersions, DescribeCluster, DescribeClusterResponse
from raftkafka.model.api.sasl import CLUSTER_SECRET, SaslAuthenticate, SaslHandshake
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId

SECRET = b"secret of the cluster"


def who(context, request):
    return DescribeClusterResponse(
        cluster_id="node" if context.is_node else "client", controller_id=context.node_id, brokers=()
    )


async def connect(server, secret: bytes | None = None, expected: NodeId | None = None) -> Connection:
    credentials = None if secret is None else NodeCredentials(node_id=NodeId(7), secret=secret, expected=expected)
    return await Connection.open("127.0.0.1", server.port, client_id="test", node_auth=credentials)


async def test_a_node_with_the_secret_is_known_by_its_id(serve):
    connection = await connect(await serve(who, secret=SECRET), SECRET, NodeId(2))
    answer = await connection.request(DescribeCluster())
    assert (answer.cluster_id, answer.controller_id) == ("node", 7)
    await connection.close()


async def test_without_authentication_the_context_is_no_node(serve):
    connection = await connect(await serve(who, secret=SECRET))
    assert (await connection.request(DescribeCluster())).cluster_id == "client"
    await connection.close()


@pytest.mark.parametrize(("server_secret", "secret"), [(SECRET, b"wrong"), (b"", SECRET)])
async def test_a_wrong_secret_is_refused(serve, server_secret, secret):
    server = await serve(who, secret=server_secret)
    with pytest.raises(ConnectionFailedError):
        await connect(server, secret)


async def test_another_node_than_expected_is_refused(serve):
    server = await serve(who, secret=SECRET)
    with pytest.raises(ConnectionFailedError, match="expected"):
        await connect(server, SECRET, NodeId(9))


async def test_a_forged_proof_is_answered_and_the_connection_closed(serve, until):
    server = await serve(who, secret=SECRET)
    connection = await connect(server)
    assert (
        await connection.request(SaslHandshake(mechanism="PLAIN"))
    ).error_code is ErrorCode.UNSUPPORTED_SASL_MECHANISM
    await connection.request(SaslHandshake(mechanism=CLUSTER_SECRET))
    answer = await connection.request(SaslAuthenticate(auth_bytes=b"nonsense"))
    assert answer.error_code is ErrorCode.SASL_AUTHENTICATION_FAILED
    await until(lambda: connection.closed)


async def test_steps_out_of_order_are_refused(serve, until):
    connection = await connect(await serve(who, secret=SECRET))
    answer = await connection.request(SaslAuthenticate(auth_bytes=b""))
    assert answer.error_code is ErrorCode.ILLEGAL_SASL_STATE
    await until(lambda: connection.closed)


async def test_a_listener_that_demands_authentication_answers_nothing_else_before(serve, until):
    server = await serve(who, secret=SECRET, authentication_required=True)
    connection = await connect(server)
    assert (await connection.request(ApiVersions())).api_keys
    with pytest.raises(ApiError, match="ILLEGAL_SASL_STATE"):
        await connection.request(DescribeCluster())
    await until(lambda: connection.closed)


async def test_before_authentication_frames_are_smaller(serve):
    server = await serve(
        who, secret=SECRET, authentication_required=True, unauthenticated_request_max_bytes=500, request_max_bytes=5000
    )
    big = ApiVersions(client_software_name="x" * 1000)
    stranger, node = await connect(server), await connect(server, SECRET)
    with pytest.raises(ConnectionClosedError):
        await stranger.request(big)
    assert (await node.request(big)).api_keys
    await node.close()
