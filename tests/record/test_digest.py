import pytest
from blake3 import blake3

from tapes.record.digest import Digest, blob_digest, node_digest, record_digest


def test_a_blob_is_named_by_plain_blake3_so_that_other_tools_agree() -> None:
    assert blob_digest(b"hello").hex() == "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f"


def test_nodes_and_records_are_named_under_contexts_of_their_own() -> None:
    data = b"the same bytes"
    assert node_digest(data) == blake3(data, derive_key_context="tapes 2026 node v1").digest()
    assert record_digest(data) == blake3(data, derive_key_context="tapes 2026 record v1").digest()
    assert len({blob_digest(data), node_digest(data), record_digest(data)}) == 3


def test_computing_one_digest_leaves_no_trace_in_the_next() -> None:
    assert record_digest(b"a") == record_digest(b"a")
    assert node_digest(memoryview(b"a")) == node_digest(b"a")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_digest_has_exactly_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Digest(bytes(size))


@pytest.mark.parametrize(
    "text", ["", "ab", "A" * 64, "g" * 64, "0" * 63, "0" * 65, " " + "0" * 63, "٠" * 64, "0" * 64 + "\n"]
)
def test_only_64_lowercase_hex_digits_parse(text: str) -> None:
    with pytest.raises(ValueError, match="64 lowercase"):
        Digest.parse(text)


def test_a_digest_survives_its_written_form_and_has_a_short_one() -> None:
    digest = blob_digest(b"x")
    assert Digest.parse(digest.hex()) == digest
    assert digest.hex().startswith(digest.short()) and len(digest.short()) == 12
    assert digest.short(8) in repr(digest)
    assert digest == bytes(digest) and hash(digest) == hash(bytes(digest))
