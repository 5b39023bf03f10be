"""The four codecs: Kafka's own bytes are read, ours come back, damage and bombs end in one clear error."""

import struct
import tracemalloc
from pathlib import Path

import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode
from raftkafka.record import compression as codecs
from raftkafka.record.build import encode_values
from raftkafka.record.header import GZIP, HEADER_BYTES, LZ4, SNAPPY, ZSTD, read_header
from raftkafka.record.iterate import decode_records, decode_values

GOLDEN = Path(__file__).parents[2] / "golden"
ALL = (GZIP, SNAPPY, LZ4, ZSTD)
NOW = 1_700_000_000_000


def plain_of(number: int) -> bytes:
    return bytes(ord("a") + (number * 7 + at) % 26 for at in range(number % 300))


@pytest.mark.parametrize("name", ["gzip", "snappy", "lz4", "zstd"])
def test_what_the_java_client_wrote_is_read(name: str) -> None:
    """The rule by which these records are made stands in tests/conformance/GoldenFiles.java."""
    batch = (GOLDEN / f"batch-{name}.bin").read_bytes()
    assert read_header(batch).compression == codecs.codec_of(name)
    records = decode_records(batch)
    assert len(records) == 1_000
    for number, record in enumerate(records):
        assert record.offset == number
        assert record.timestamp_ms == NOW + number
        assert record.key == (None if number % 7 == 0 else b"k%d" % number)
        assert record.value == (None if number % 50 == 0 else plain_of(number))
        assert record.headers == ((("name", b"content"),) if number % 10 == 0 else ())


@given(st.sampled_from(ALL), st.binary(max_size=3_000), st.sampled_from([1, 20, 100]))
@settings(max_examples=150)
def test_bytes_come_back(codec: int, some: bytes, times: int) -> None:
    plain = some * times
    packed = codecs.compress(codec, plain)
    assert codecs.decompress(codec, bytes(packed), max_bytes=len(plain)) == plain
    assert codecs.decompress(codec, memoryview(bytes(packed)), max_bytes=1 << 20) == plain


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("codec", ALL)
def test_sections_of_several_blocks_come_back(codec: int, size: int) -> None:
    values = [b"%d" % (number * 7_919) for number in range(size // 6)]
    batch = encode_values(values, timestamp_ms=NOW, compression=codec)
    assert decode_values(batch) == values


def test_snappy_without_framing_is_read() -> None:
    """As librdkafka writes it."""
    assert codecs.decompress(SNAPPY, b"\x09\x08abc\x09\x03") == b"abcabcabc"


def test_snappy_is_framed_as_by_the_java_client() -> None:
    packed = bytes(codecs.compress(SNAPPY, bytes(40_000)))
    assert packed.startswith(b"\x82SNAPPY\0\0\0\0\1\0\0\0\1")
    (first,) = struct.unpack_from(">i", packed, 16)
    (second,) = struct.unpack_from(">i", packed, 20 + first)
    assert 24 + first + second == len(packed)


def test_lz4_blocks_are_independent() -> None:
    """Java readers refuse others. Incompressible blocks are stored as they are."""
    assert bytes(codecs.compress(LZ4, b"a"))[:7].hex() == "04224d18604082"
    noise = b"".join(crc32c(b"%d" % at).to_bytes(4, "big") for at in range(30_000))
    packed = bytes(codecs.compress(LZ4, noise))
    assert len(packed) == 7 + len(noise) + 2 * 4 + 4
    assert codecs.decompress(LZ4, packed) == noise


@pytest.mark.parametrize("codec", ALL)
def test_a_bomb_ends_early_and_in_bounded_memory(codec: int) -> None:
    """A hundred times the bound, and one byte too many."""
    bomb = bytes(codecs.compress(codec, bytes(100 << 20)))
    exact = bytes(codecs.compress(codec, bytes(1 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(ApiError, match="unfolds to more than 1048576 bytes") as refused:
            codecs.decompress(codec, bomb, max_bytes=1 << 20)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.code is ErrorCode.RECORD_LIST_TOO_LARGE
    assert peak_bytes < 4 << 20
    assert codecs.decompress(codec, exact, max_bytes=1 << 20) == bytes(1 << 20)
    with pytest.raises(ApiError, match="unfolds to more than"):
        codecs.decompress(codec, exact, max_bytes=(1 << 20) - 1)


def test_many_snappy_chunks_are_bounded_together() -> None:
    packed = bytes(codecs.compress(SNAPPY, bytes(100_000)))
    with pytest.raises(ApiError, match="unfolds to more than 99999 bytes"):
        codecs.decompress(SNAPPY, packed, max_bytes=99_999)


def test_a_zstd_frame_that_wants_too_much_memory_is_refused() -> None:
    # A window of 1 GiB, then one raw block of three bytes.
    frame = bytes.fromhex("28b52ffd 00 a0 190000 616263")
    with pytest.raises(CorruptionError, match="memory"):
        codecs.decompress(ZSTD, frame)
    assert codecs.decompress(ZSTD, frame[:5] + b"\x50" + frame[6:]) == b"abc"


def unfold_foreign(codec: int, packed: bytes) -> None:
    """Bytes, or one of the two errors; nothing else may come out of a decompressor."""
    try:
        assert len(codecs.decompress(codec, packed, max_bytes=1_000)) <= 1_000
    except (CorruptionError, ApiError) as error:
        code = getattr(error, "code", ErrorCode.RECORD_LIST_TOO_LARGE)
    else:
        return
    assert code is ErrorCode.RECORD_LIST_TOO_LARGE


@given(st.sampled_from(ALL), st.binary(max_size=200))
def test_foreign_bytes_are_corruption_or_bytes(codec: int, packed: bytes) -> None:
    unfold_foreign(codec, packed)


@given(st.sampled_from(ALL), st.integers(min_value=0), st.integers(min_value=0, max_value=255))
@settings(max_examples=300)
def test_damage_is_corruption_or_bytes(codec: int, at: int, value: int) -> None:
    packed = bytearray(codecs.compress(codec, b"some words, and some words, and some more words" * 30))
    packed[at % len(packed)] = value
    unfold_foreign(codec, bytes(packed))


@pytest.mark.parametrize("codec", ALL)
def test_a_cut_section_is_corruption(codec: int) -> None:
    packed = bytes(codecs.compress(codec, b"some words, and some words, and some more words" * 2_000))
    for keep in (0, 1, 5, 10, 17, 20, len(packed) // 2, len(packed) - 1):
        with pytest.raises(CorruptionError):
            codecs.decompress(codec, packed[:keep])


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_numbers_without_a_codec_are_named(codec: int) -> None:
    for call in (codecs.compress, codecs.decompress):
        with pytest.raises(ApiError, match=f"no codec has the number {codec}") as refused:
            call(codec, b"abc")
        assert refused.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_names() -> None:
    assert [codecs.codec_of(name) for name in ("none", "gzip", "snappy", "lz4", "zstd")] == [0, 1, 2, 3, 4]
    with pytest.raises(ApiError, match="'brotli' is none of none, gzip, snappy, lz4, zstd") as refused:
        codecs.codec_of("brotli")
    assert refused.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    assert codecs.target_of("producer") is None
    assert codecs.target_of("uncompressed") == 0
    assert codecs.target_of("zstd") == ZSTD
    with pytest.raises(ValueError, match="'none' is none of"):
        codecs.target_of("none")


@pytest.mark.parametrize("codec", ALL)
def test_a_batch_says_how_it_is_packed(codec: int) -> None:
    batch = encode_values([b"value"] * 100, timestamp_ms=NOW, compression=codec, producer_id=5)
    header = read_header(batch)
    assert header.compression == codec
    assert header.records_count == 100
    assert header.batch_size == len(batch) < HEADER_BYTES + 500
