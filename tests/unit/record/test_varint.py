import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.record.varint import REMEMBERED, VARINTS, VARLONG_BYTES_MAX, VarintTable, decode_varint, encode_varint

# The examples of the protobuf encoding guide for sint32, and the ends of the range.
KNOWN = [(0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (63, "7e"), (64, "8001"), (-64, "7f"), (-65, "8101")]
ENDS = [(2**31 - 1, "feffffff0f"), (-(2**31), "ffffffff0f"), (2**63 - 1, "fe" + "ff" * 8 + "01")]


@pytest.mark.parametrize(("value", "encoded"), KNOWN + ENDS)
def test_known_encodings(value: int, encoded: str) -> None:
    assert encode_varint(value).hex() == encoded
    assert VARINTS[value].hex() == encoded


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_round_trip(value: int) -> None:
    encoded = encode_varint(value)
    assert decode_varint(b"\xff" + encoded + b"\xff", 1, VARLONG_BYTES_MAX) == (value, 1 + len(encoded))


def test_the_table_forgets_large_values() -> None:
    table = VarintTable()
    assert table[REMEMBERED] == encode_varint(REMEMBERED)
    assert table[5] == b"\x0a"
    assert list(table) == [5]


def test_a_varint_must_end() -> None:
    with pytest.raises(IndexError):
        decode_varint(b"\x80\x80", 0, 5)
    with pytest.raises(ValueError, match="more than 5"):
        decode_varint(b"\x80" * 10, 0, 5)
