"""The codec and both sessions: round trips of every API, limits, foreign bytes."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftkafka.model import cbor
from raftkafka.model.api.cluster import ApiVersions
from raftkafka.model.api.committed_offsets import OffsetFetch, OffsetFetchGroup, OffsetFetchTopic
from raftkafka.model.api.fetch import Fetch, FetchPartition, FetchPartitionResponse, FetchResponse
from raftkafka.model.api.groups import FindCoordinator
from raftkafka.model.api.produce import Produce, ProducePartition, ProducePartitionResponse, ProduceResponse
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError
from raftkafka.model.ids import LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId
from raftkafka.wire.native.apis import HOMES
from raftkafka.wire.native.versions import API_VERSIONS_RESPONSE
from raftkafka.wire.session import PREFACE, ROWS_MAX, SEEN_MAX, ClientSession, ServerSession, _frame

TOPIC = TopicId(bytes(range(16)))
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def server(request_max_bytes: int = 1 << 20) -> ServerSession:
    return ServerSession(request_max_bytes=request_max_bytes)


def opened(request_max_bytes: int = 1 << 20) -> ServerSession:
    session = server(request_max_bytes)
    session.receive(memoryview(PREFACE))
    return session


def client() -> ClientSession:
    return ClientSession(response_max_bytes=1 << 20)


def produce(records: bytes = b"batch", **changes: int) -> Produce:
    values = {"acks": -1, "timeout_ms": 30_000, **changes}
    partition = ProducePartition(
        topic_id=TOPIC, partition=PartitionIndex(3), leader_epoch=LeaderEpoch(7), records=memoryview(bytearray(records))
    )
    return Produce(partitions=(partition,), **values)


def frame_of(request: object, correlation_id: int = 1) -> bytes:
    return b"".join(client().encode_request(correlation_id, "test", request))


def view(data: bytes) -> memoryview:
    return memoryview(bytearray(data))


@QUICK
@given(data=st.data())
def test_every_api_survives_the_way_there_and_back(exchanges, data):
    request, response = data.draw(exchanges)
    ours, theirs = client(), opened()
    received = theirs.receive(view(b"".join(ours.encode_request(77, "someone", request))))
    (incoming,) = received.requests
    assert (incoming.correlation_id, incoming.client_id, incoming.request) == (77, "someone", request)
    frame = view(b"".join(theirs.encode_response(incoming, response)))
    (answer,), consumed, _ = ours.receive(frame, stable=True)
    assert (answer.correlation_id, answer.response, consumed) == (77, response, len(frame))


def test_the_table_lists_every_api(message_classes):
    assert {int(request.api_key) for request, _ in message_classes} == set(HOMES)
    assert [each.api_key for each in API_VERSIONS_RESPONSE.api_keys] == sorted(HOMES)


@pytest.mark.parametrize("leader", [NodeId(-1), NodeId(2)])
def test_packed_and_plain_responses_decode_alike(leader):
    produced = ProduceResponse(
        partitions=(
            ProducePartitionResponse(
                topic_id=TOPIC,
                partition=PartitionIndex(1),
                base_offset=Offset(2**40),
                log_start_offset=Offset(0),
                current_leader=leader,
            ),
        )
    )
    fetched = FetchResponse(
        partitions=(
            FetchPartitionResponse(
                topic_id=TOPIC,
                partition=PartitionIndex(1),
                high_watermark=Offset(5),
                last_stable_offset=Offset(5),
                log_start_offset=Offset(0),
                current_leader=leader,
                records=b"records",
            ),
        )
    )
    fetch = Fetch(partitions=(FetchPartition(topic_id=TOPIC, partition=PartitionIndex(1), fetch_offset=Offset(0)),))
    for request, response in ((produce(), produced), (fetch, fetched)):
        ours, theirs = client(), opened()
        (incoming,) = theirs.receive(view(b"".join(ours.encode_request(2**32 - 1, "c", request)))).requests
        frame = view(b"".join(theirs.encode_response(incoming, response)))
        (answer,), _, _ = ours.receive(frame, stable=True)
        assert answer.response == response


def test_a_produce_of_one_partition_costs_at_most_64_bytes():
    head, records = client().encode_request(100_000, "producer-1", produce(bytes(128 << 10)))
    assert len(head) <= 64
    assert len(records) == 128 << 10


def test_a_produce_like_one_before_is_read_like_the_first():
    ours, theirs = client(), opened()
    requests = [produce(b"a" * size, timeout_ms=epoch) for epoch in (1000, 2000, 1000) for size in (0, 30, 70_000)]
    for number, request in enumerate(requests):
        frame = view(b"".join(ours.encode_request(number, "c", request)))
        (incoming,) = theirs.receive(frame).requests
        assert (incoming.correlation_id, incoming.client_id, incoming.request) == (number, "c", request)


def test_a_header_seen_before_vouches_for_no_other_byte_count():
    ours, theirs = client(), opened()
    head, records = ours.encode_request(1, "c", produce(b"records"))
    theirs.receive(view(head + bytes(records)))
    lying = view(head + bytes(records))
    lying[len(head) - 1] += 1
    with pytest.raises(ProtocolError):
        theirs.receive(lying)


def test_what_a_connection_remembers_is_bounded():
    ours, theirs = client(), opened()
    for epoch in range(SEEN_MAX + 2):
        theirs.receive(view(b"".join(ours.encode_request(1, "c", produce(b"records", timeout_ms=epoch)))))
    assert len(theirs._seen) == 2


def test_records_are_writable_views_of_what_was_received():
    data = view(PREFACE + frame_of(produce(b"0123456789")))
    (incoming,) = server().receive(data).requests
    records = incoming.request.partitions[0].records
    records[:3] = b"abc"
    assert bytes(data).endswith(b"abc3456789")


def test_requests_and_responses_pass_record_buffers_through_uncopied():
    request = produce(b"x" * 100)
    assert client().encode_request(1, "c", request)[1] is request.partitions[0].records
    fetched = FetchPartitionResponse(topic_id=TOPIC, partition=PartitionIndex(0), records=b"y" * 100)
    fetch = Fetch(partitions=())
    (incoming,) = opened().receive(view(frame_of(fetch))).requests
    assert opened().encode_response(incoming, FetchResponse(partitions=(fetched,)))[1] is fetched.records


def test_splitting_the_stream_anywhere_gives_the_same_requests():
    wanted = [produce(b"first"), ApiVersions(client_software_name="x"), produce(b"", acks=0), produce(b"last")]
    stream = PREFACE + b"".join(frame_of(request, index) for index, request in enumerate(wanted))
    for cut in range(len(stream) + 1):
        session, got, rest = server(), [], b""
        for piece in (stream[:cut], stream[cut:]):
            data = view(rest + piece)
            while True:
                received = session.receive(data)
                got += [incoming.request for incoming in received.requests]
                data = data[received.consumed :]
                if not received.consumed:
                    break
            rest = bytes(data)
        assert got == wanted
        assert rest == b""


def test_needed_tells_the_size_of_the_frame_that_is_coming():
    frame = frame_of(produce(b"z" * 500))
    received = opened().receive(view(frame[:20]))
    assert (received.consumed, received.needed) == (0, len(frame))


def test_a_limit_leaves_the_rest_for_later():
    data = view(b"".join(frame_of(ApiVersions(), index) for index in range(5)))
    session = opened()
    received = session.receive(data, limit=2)
    assert [incoming.correlation_id for incoming in received.requests] == [0, 1]
    assert [i.correlation_id for i in session.receive(data[received.consumed :]).requests] == [2, 3, 4]


@pytest.mark.parametrize("length", [1 << 31, (1 << 32) - 1, (1 << 20) + 1, 3, 0])
def test_impossible_lengths_are_refused_before_anything_is_allocated(length):
    for tail in (b"", struct.pack(">I", 1) + b"x" * 50):
        tracemalloc.start()
        with pytest.raises(ProtocolError):
            opened().receive(view(struct.pack(">I", length) + tail))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20


@pytest.mark.parametrize(
    "header", [b"\x9b" + b"\x7f" + b"\xff" * 7, b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff", b"\x9a\xff\xff\xff\xff"]
)
def test_counts_inside_the_header_are_not_believed(header):
    frame = struct.pack(">II", 4 + len(header), len(header)) + header
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        opened().receive(view(frame))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        [2, 0, []],
        [-1, -1, []],
        [-1, 0, [[b"short", 0, 0, 0]]],
        [-1, 0, [[bytes(16), 0, 0, 9]]],
        {"acks": 1},
        [True, 0, []],
    ],
)
def test_bodies_with_wrong_types_ranges_or_sums_are_refused(body):
    header = cbor.encode([0, 0, 1, "c", body])
    with pytest.raises(ProtocolError):
        opened().receive(view(struct.pack(">II", 4 + len(header), len(header)) + header))


@pytest.mark.parametrize(("api_key", "version"), [(999, 0), (0, 1), (0, 32_767)])
def test_unknown_apis_and_versions_get_an_error_and_the_connection_lives(api_key, version):
    session, ours = opened(), client()
    ours.encode_request(5, "c", ApiVersions())
    unknown = b"".join(_frame([api_key, version, 5, "c", {"what": "ever"}], [b"trailing"]))
    first, second = session.receive(view(unknown + frame_of(ApiVersions(), 6))).requests
    assert second.request == ApiVersions()
    (answer,), _, _ = ours.receive(view(b"".join(session.encode_response(first, first.error))), stable=True)
    assert isinstance(answer.response, ApiError)
    assert answer.response.code is ErrorCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"\x00\x00\x00\x20\x00\x12", "Kafka"),
        (b"\x16\x03\x01\x02", "TLS"),
        (b"\xffwhatever", "preface"),
    ],
)
def test_other_protocols_are_named(start, named):
    with pytest.raises(ProtocolError, match=named):
        server().receive(view(start))


@QUICK
@given(data=st.binary(max_size=300), with_preface=st.booleans())
def test_arbitrary_bytes_raise_nothing_but_protocol_errors(data, with_preface):
    session = server(4096)
    try:
        session.receive(view(PREFACE + data if with_preface else data))
        session.receive(view(data))
    except ProtocolError:
        pass


@QUICK
@given(header=st.binary(max_size=200), records=st.binary(max_size=20))
def test_arbitrary_headers_in_sound_frames_raise_nothing_but_protocol_errors(header, records):
    frame = struct.pack(">II", 4 + len(header) + len(records), len(header)) + header + records
    ours = client()
    ours.encode_request(0, "c", produce())
    for receive in (lambda: opened().receive(view(frame)), lambda: ours.receive(view(frame), stable=False)):
        with contextlib.suppress(ProtocolError):
            receive()


@settings(QUICK, max_examples=300)
@given(data=st.data())
def test_mutated_and_truncated_frames_raise_nothing_but_protocol_errors(exchanges, data):
    request, response = data.draw(exchanges)
    ours, theirs = client(), opened()
    sent = view(b"".join(ours.encode_request(1, "c", request)))
    (incoming,) = opened().receive(sent).requests
    answered = view(b"".join(theirs.encode_response(incoming, response)))
    for frame in (sent, answered):
        for _ in range(data.draw(st.integers(1, 4))):
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 10))
    for receive in (
        lambda: theirs.receive(sent[: len(sent) - cut]),
        lambda: ours.receive(answered[: len(answered) - cut], stable=True),
    ):
        with contextlib.suppress(ProtocolError):
            receive()


def test_a_response_out_of_turn_is_refused():
    ours, theirs = client(), opened()
    frames = [b"".join(ours.encode_request(index, "c", ApiVersions())) for index in (1, 2)]
    second = theirs.receive(view(frames[1])).requests[0]
    error = b"".join(theirs.encode_response(second, ApiError(ErrorCode.NOT_CONTROLLER, "x")))
    with pytest.raises(ProtocolError, match="nobody waits"):
        ours.receive(view(error), stable=True)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda count: FindCoordinator(coordinator_keys=("g",) * count),
        lambda count: OffsetFetch(
            groups=(OffsetFetchGroup(group_id="g", topics=(OffsetFetchTopic(name="t", partitions=(1,) * count),)),)
        ),
        lambda count: Fetch(partitions=(FetchPartition(topic_id=TOPIC, partition=0, fetch_offset=0),) * count),
    ],
    ids=["strings", "numbers deep inside", "structures"],
)
def test_a_client_asks_for_so_many_things_and_no_more(request_of):
    """Hundreds of thousands fit into a header, and each costs the event loop a while."""
    frames = [view(frame_of(request_of(count))) for count in (ROWS_MAX - 8, ROWS_MAX + 1)]
    session = opened(8 << 20)
    (allowed,) = session.receive(frames[0]).requests
    assert allowed.error is None
    (refused,) = session.receive(frames[1]).requests
    assert (refused.request, refused.error.code) == (None, ErrorCode.INVALID_REQUEST)
    assert str(ROWS_MAX) in refused.error.message
    answer = view(b"".join(session.encode_response(refused, refused.error)))
    ours = client()
    ours.encode_request(1, "test", request_of(1))
    assert ours.receive(answer, stable=True)[0][0].response.code is ErrorCode.INVALID_REQUEST
    # What a node asks for is not bounded: it follows every partition that it is given.
    session.rows_max = 1 << 62
    assert session.receive(frames[1]).requests[0].error is None
