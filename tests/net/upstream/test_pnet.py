"""Private swarms: the cipher compared with libsodium, the key file, and which nodes can talk."""

import json
from pathlib import Path
from typing import Any

import nacl.secret
import pytest
from libp2p.security.pnet.protector import new_protected_conn

from flux_tui.core.ids import PeerId
from flux_tui.net.flux import peer_dials
from flux_tui.net.port import NetworkError
from flux_tui.net.upstream.pnet import ProtectedConnection, load_swarm_key, xsalsa20
from tests.support.members import member
from tests.support.networks import connect, settled, words

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
HEADER = "/key/swarm/psk/1.0.0/\n"
GOOD = HEADER + "/base16/\n" + KEY.hex() + "\n"


# ── the cipher ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(4))
def test_the_cipher_equals_xsalsa20_of_libsodium(seed: int) -> None:
    """A secret box is XSalsa20 whose first 32 bytes are reserved for its tag."""
    key, nonce, text = bytes([seed]) * 32, bytes(range(seed, seed + 24)), bytes(range(256)) * 3
    box = nacl.secret.SecretBox(key).encrypt(text, nonce).ciphertext[16:]
    assert xsalsa20(key, nonce).encrypt(bytes(32) + text)[32:] == box


class Half:
    """One end of a connection. The other end reads what was written."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data

    async def read(self, n: int | None = None) -> bytes:
        take = min(self.step, len(self.data) if n is None else n)
        part = bytes(self.data[:take])
        del self.data[:take]
        return part


@pytest.mark.parametrize("step", [1, 7, 24, 1000])
async def test_written_bytes_are_read_in_any_cut(step: int) -> None:
    wire: Any = Half(step)
    writer, reader = ProtectedConnection(wire, KEY), ProtectedConnection(wire, KEY)
    for text in (b"hello", b"", b"x" * 500):
        await writer.write(text)
    assert b"hello" not in wire.data
    assert len(wire.data) == 24 + 505
    got = bytearray()
    while len(got) < 505:
        got += await reader.read(100)
    assert got == b"hello" + b"x" * 500


async def test_libp2p_still_sends_a_nonce_that_nobody_else_understands() -> None:
    """The specification says 24 bytes. If this fails, give libp2p `psk=` instead of `ProtectedConnection`."""
    wire: Any = Half(1000)
    await new_protected_conn(wire, KEY.hex()).write(b"")
    assert len(wire.data) == 8


VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "vectors" / "pnet.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["from"])
async def test_the_bytes_equal_those_of_another_implementation(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nonce and then its writes are read here, and our own writes give the same bytes."""
    key, nonce = bytes.fromhex(vector["key"]), bytes.fromhex(vector["nonce"])
    wire: Any = Half(1000)
    for write in vector["writes"]:
        wire.data += bytes.fromhex(write["wire"])
    theirs = nonce + bytes(wire.data)
    wire.data[:0] = nonce
    reader = ProtectedConnection(wire, key)
    for write in vector["writes"]:
        expected = bytes.fromhex(write["plain"])
        assert await reader.read(len(expected)) == expected
    monkeypatch.setattr("os.urandom", lambda size: nonce[:size])
    writer = ProtectedConnection(wire, key)
    for write in vector["writes"]:
        await writer.write(bytes.fromhex(write["plain"]))
    assert bytes(wire.data) == theirs


# ── the file ────────────────────────────────────────────────────────────────────────────────────


def test_key_files_as_other_programs_write_them(tmp_path: Path) -> None:
    import base64

    for body in (
        GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.upper().replace(HEADER.upper(), HEADER).replace("/BASE16/", "/base16/").encode(),
        GOOD.rstrip().encode(),
        f"{HEADER}/base64/\n".encode() + base64.b64encode(KEY),
        f"{HEADER}/bin/\n".encode() + KEY,
    ):
        (tmp_path / "swarm.key").write_bytes(body)
        assert load_swarm_key(tmp_path / "swarm.key") == KEY


@pytest.mark.parametrize(
    "body",
    [
        "",
        "secret",
        HEADER,
        HEADER + "/base16/\n",
        HEADER + "/base16/\n" + "ab" * 31,
        HEADER + "/base16/\n" + "ab" * 33,
        HEADER + "/base16/\n" + "xy" * 32,
        HEADER + "/base64/\n!!!",
        HEADER + "/base32/\n" + "ab" * 32,
        GOOD.replace("1.0.0", "2.0.0"),
        GOOD + "x" * 2000,
    ],
)
def test_an_invalid_key_file_is_one_sentence(tmp_path: Path, body: str) -> None:
    (tmp_path / "swarm.key").write_text(body)
    with pytest.raises(
        NetworkError, match=r"swarm\.key is not a swarm key: expected the lines /key/swarm/psk/"
    ):
        load_swarm_key(tmp_path / "swarm.key")


def test_a_missing_key_file(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"nothing cannot be read: no such file or directory"):
        load_swarm_key(tmp_path / "nothing")
    with pytest.raises(NetworkError, match="cannot be read: is a directory"):
        load_swarm_key(tmp_path)


# ── the swarm ───────────────────────────────────────────────────────────────────────────────────


async def test_nodes_with_the_same_key_can_talk() -> None:
    async with member(1, swarm_key=KEY) as a, member(2, swarm_key=KEY) as b:
        await connect(a, b)
        for number in range(100):
            a.network.push(b.id, words(number))
            b.network.push(a.id, words(number))
        await a.seen.until(lambda: len(a.seen.messages) == 100)
        await b.seen.until(lambda: len(b.seen.messages) == 100)
        await a.seen.until(lambda: a.seen.known == 1)  # the DHT works in a private swarm


@pytest.mark.parametrize(("mine", "yours"), [(KEY, None), (None, KEY), (KEY, OTHER)])
async def test_nodes_without_the_key_cannot_talk(
    mine: bytes | None, yours: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_dials, "DIAL_SECONDS", 1.0)
    async with member(1, swarm_key=mine) as a, member(2, swarm_key=yours) as b:
        a.network.dial(b.addr)
        await a.seen.until(lambda: a.seen.failed)
        assert "it is another peer, in another private swarm (--swarm-key), or hangs" in a.seen.failed[0][1]
        await settled()
        nobody: list[tuple[str, PeerId]] = []
        assert a.seen.links == b.seen.links == nobody
        assert not a.seen.known + b.seen.known
