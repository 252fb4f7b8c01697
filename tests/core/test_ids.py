"""CIDs and peer ids: canonical forms, and errors for invalid ones."""

import contextlib
from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import (
    CID_PREFIXES,
    LANES,
    BadIdError,
    Cid,
    PeerId,
    cid_bytes,
    cid_from_bytes,
    cids_from_bytes,
    dag_cid,
    is_leaf,
    matches,
    parse_cid,
    parse_peer_id,
    peer_id_bytes,
    peer_id_from_bytes,
    raw_cid,
    short,
)

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
PEER = PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS")


def test_known_cids() -> None:
    assert raw_cid(b"") == EMPTY
    assert raw_cid(b"hello world") == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    assert is_leaf(raw_cid(b""))
    assert not is_leaf(dag_cid(b""))
    assert matches(Cid(EMPTY), b"")
    assert not matches(Cid(EMPTY), b"x")


@given(st.binary(min_size=36, max_size=36))
def test_the_bytes_of_a_cid_equal_its_base32_text(raw: bytes) -> None:
    text = Cid("b" + b32encode(raw).decode().rstrip("=").lower())
    assert cid_bytes(text) == raw
    for wrong in (text[:-1], text + "a", text.upper(), *(f"{text[:-1]}{c}" for c in "0189_ \u0663=A")):
        with pytest.raises(ValueError, match=r"canonical|literal"):
            cid_bytes(Cid(wrong))


@given(st.binary(max_size=100))
def test_text_and_bytes_of_a_cid_convert_to_each_other(data: bytes) -> None:
    for cid in (raw_cid(data), dag_cid(data)):
        assert cid_from_bytes(cid_bytes(cid)) == cid
        assert parse_cid(cid) == cid
        assert parse_cid(f"  ipfs://{cid.upper().replace('B', 'B', 1)}/ ".replace("IPFS", "ipfs")) == cid


def test_a_v0_cid_becomes_its_v1_form() -> None:
    v0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    assert parse_cid(v0) == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("hello", "starts with"),
        (EMPTY[:-1], "characters long"),
        (EMPTY[:-1] + "v", "last character"),
        (EMPTY[:20] + "!" + EMPTY[21:], "base32"),
        ("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0", "CIDv0"),
        ("bafzbeigai3eoy2ccc7ybwjfz5r3rdxqrinwi4rwytly24tdbh6yk7zslrm", "codec"),
    ],
)
def test_an_invalid_cid_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(BadIdError, match=why):
        parse_cid(text)


@given(st.text(max_size=80))
def test_parsing_raises_only_bad_id_errors(text: str) -> None:
    for parse in (parse_cid, parse_peer_id):
        with contextlib.suppress(BadIdError):
            parse(text)


@pytest.mark.parametrize(
    "raw", [b"", b"\x01", b"\x01\x55\x12\x20", b"\x02\x55\x12\x20" + bytes(32), bytes(36)]
)
def test_invalid_cid_bytes(raw: bytes) -> None:
    with pytest.raises(BadIdError):
        cid_from_bytes(raw)


def test_peer_ids() -> None:
    assert parse_peer_id(f" {PEER} ") == PEER
    assert peer_id_from_bytes(peer_id_bytes(PEER)) == PEER
    with pytest.raises(BadIdError, match="peer id"):
        parse_peer_id("12D3KooW0OIl")


def test_short_forms_keep_both_ends() -> None:
    assert short(PEER) == "12D3…kWAS"
    assert short(EMPTY) == "bafk…yku"
    assert short("n4") == "n4"


@pytest.mark.parametrize(
    "text",
    [
        "bafkrgqfevpkejdcjkywyfaiv2e5b7thksj7vfngviwjjp6fuhzbnvcjdrpatmjxehxftrxnqqjeisj7msbh3iicxiq4yh2efqulz2ucvdl7ge",
        "bafk2bzacediwdvyriwv65rppcwv46bczz3daujzsdyxqvqhpplhfevhvsrchm",
    ],
    ids=["sha2-512", "blake2b"],
)
def test_a_whole_cid_with_another_hash_is_refused_for_its_hash(text: str) -> None:
    with pytest.raises(BadIdError, match="uses a hash other than sha2-256"):
        parse_cid(text)


def test_an_inline_cid_is_refused_with_a_sentence_of_its_own() -> None:
    """Kubo writes them for small files with `--inline`."""
    with pytest.raises(BadIdError) as refused:
        parse_cid("bafkqabdmmvqwm")
    assert str(refused.value) == (
        "“bafkqabdmmvqwm” has its bytes in itself (an inline CID), which flux-tui does not take"
    )
    with pytest.raises(BadIdError, match="an inline CID"):
        cid_from_bytes(b"\x01\x55\x00\x04leaf")


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=2 * LANES + 3))
def test_many_cids_have_the_texts_that_each_has_alone(digests: list[bytes]) -> None:
    raws = [CID_PREFIXES[digest[0] % 2] + digest for digest in digests]
    assert cids_from_bytes(raws) == [cid_from_bytes(raw) for raw in raws]
    with pytest.raises(BadIdError):
        cids_from_bytes([*raws, bytes(36)])
    with pytest.raises(BadIdError):
        cids_from_bytes([b"\x01\x55\x12\x20", *raws])
