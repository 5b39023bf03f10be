import pytest

from raftkafka.model.zookeeper import requests as rq
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.operations import ROWS, code_of
from tests.fuzz import zookeeper as fuzz


@pytest.mark.parametrize("seed", range(4))
def test_mutated_frames_leave_nothing_but_answers(seed):
    """A part of `make fuzz`, which feeds a million of them."""
    counts = fuzz.run(frames=5_000, seed=seed)
    # Mutants reach every outcome, or the run shows nothing.
    for kind in ("read", "refused", "unfinished", "MARSHALLINGERROR", "BADARGUMENTS", "UNIMPLEMENTED"):
        assert counts[kind] > 20


def test_mutants_come_from_every_operation():
    assert {code_of(request) for request in fuzz.REQUESTS if not isinstance(request, rq.Unknown)} == set(ROWS)


def test_the_worst_vectors_stay_within_the_bound():
    for element, op_code in ((bytes(12), OpCode.SET_ACL), (bytes(4), OpCode.SET_WATCHES)):
        count = 100_000 // len(element)
        path = b"\0\0\0\2/a" if op_code is OpCode.SET_ACL else bytes(8)
        body = path + count.to_bytes(4, "big") + element * count + bytes(8)
        frame = (8 + len(body)).to_bytes(4, "big") + (1).to_bytes(4, "big") + int(op_code).to_bytes(4, "big") + body
        counts = fuzz.Counter()
        fuzz._measured(frame, opened=True, counts=counts)
        assert counts["read"] == 1
