"""Private swarms: only peers with the same key can connect (libp2p's pnet, Pre-shared-Key-V1).

Each connection is encrypted with XSalsa20, below everything else, under a key that the whole swarm shares.
Each side sends its 24-byte nonce first. A host without the key, or with another key, cannot read the bytes, and
this node cannot read the other host's bytes.

Replaces `psk`. For libp2p 0.8.x. The cipher of libp2p 0.8.1 does not follow the specification: it is Salsa20 with an
8-byte nonce, which no other implementation understands. It came with pull request #1002; no issue is known.
`test_libp2p_still_sends_a_nonce_that_nobody_else_understands` fails when upstream changes.

This module is checked against libsodium's XSalsa20 and against bytes that js-libp2p 3 wrote
(tests/net/upstream/test_pnet.py). A js-libp2p 3.3.11 with the same key can connect in both directions, up to identify
and ping; with another key or none it cannot.

The cost: on loopback a raw stream runs at a quarter of its speed (tests/bench/raw_stream.py --swarm-key: 230
instead of 930 MB/s; this cipher alone reaches 310 MB/s, and Noise's cipher comes in addition). A file transfer, with
hashing and disk work, is slower than that anyway.
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Any

from Crypto.Cipher import Salsa20
from libp2p.abc import IRawConnection
from libp2p.io.exceptions import ConnectionClosedError
from typing_extensions import override

from flux_tui.net.port import NetworkError
from flux_tui.regular_files import open_to_read

HEADER = b"/key/swarm/psk/1.0.0/"
KEY_BYTES, NONCE_BYTES = 32, 24
MAX_FILE = 1024
"""Bytes of a key file at most; a usual one has about 100."""
SIGMA = b"expand 32-byte k"


def load_swarm_key(path: Path) -> bytes:
    """Read a swarm key file, and return the key's 32 bytes. Raises NetworkError with a sentence."""
    try:
        with open_to_read(path) as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise NetworkError(f"the swarm key {path} cannot be read: {(error.strerror or '').lower()}") from None
    key = _parse(data) if len(data) <= MAX_FILE else None
    if key is None or len(key) != KEY_BYTES:
        raise NetworkError(
            f"{path} is not a swarm key: expected the lines {HEADER.decode()} and /base16/, and then"
            f" {2 * KEY_BYTES} hexadecimal digits"
        )
    return key


def _parse(data: bytes) -> bytes | None:
    header, _, rest = data.partition(b"\n")
    encoding, _, body = rest.partition(b"\n")
    if header.strip() != HEADER:
        return None
    try:
        match encoding.strip():
            case b"/base16/":
                return binascii.unhexlify(body.strip())
            case b"/base64/":
                return base64.b64decode(body.strip(), validate=True)
            case b"/bin/":
                return body[:KEY_BYTES] if body[KEY_BYTES:] in (b"", b"\n", b"\r\n") else None
            case _:
                return None
    except binascii.Error:
        return None


class ProtectedConnection(IRawConnection):
    """A raw connection whose bytes are encrypted with the private swarm's key."""

    def __init__(self, conn: IRawConnection, key: bytes) -> None:
        self._conn = conn
        self._key = key
        self._outgoing: Salsa20.Salsa20Cipher | None = None
        self._incoming: Salsa20.Salsa20Cipher | None = None
        self._nonce = bytearray()

    @override
    async def write(self, data: bytes) -> None:
        if self._outgoing is None:
            nonce = os.urandom(NONCE_BYTES)
            self._outgoing = xsalsa20(self._key, nonce)
            await self._conn.write(nonce + self._outgoing.encrypt(data))
            return
        await self._conn.write(self._outgoing.encrypt(data))

    @override
    async def read(self, n: int | None = None) -> bytes:
        while self._incoming is None:
            part = await self._conn.read(NONCE_BYTES - len(self._nonce))
            if not part:
                raise ConnectionClosedError("the connection ended before it began")
            self._nonce += part
            if len(self._nonce) == NONCE_BYTES:
                self._incoming = xsalsa20(self._key, bytes(self._nonce))
        return self._incoming.decrypt(await self._conn.read(n))

    @override
    async def close(self) -> None:
        await self._conn.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    @override
    def get_remote_address(self) -> tuple[str, int] | None:
        return self._conn.get_remote_address()

    @override
    def get_transport_addresses(self) -> Any:
        return self._conn.get_transport_addresses()

    @override
    def get_connection_type(self) -> Any:
        return self._conn.get_connection_type()


def protect(swarm: Any, key: bytes) -> None:
    """Encrypt every connection of a libp2p swarm with this key, before its security protocol is negotiated."""
    upgrade = swarm.upgrader.upgrade_security

    async def protected(conn: IRawConnection, *args: Any) -> Any:
        return await upgrade(ProtectedConnection(conn, key), *args)

    swarm.upgrader.upgrade_security = protected


def xsalsa20(key: bytes, nonce: bytes) -> Salsa20.Salsa20Cipher:
    """Return an XSalsa20 cipher: Salsa20 under a key that HSalsa20 derives from the first 16 bytes of the nonce."""
    return Salsa20.new(key=_hsalsa20(key, nonce[:16]), nonce=nonce[16:])


def _hsalsa20(key: bytes, nonce: bytes) -> bytes:
    block = SIGMA[:4] + key[:16] + SIGMA[4:8] + nonce + SIGMA[8:12] + key[16:] + SIGMA[12:]
    x = [int.from_bytes(block[at : at + 4], "little") for at in range(0, 64, 4)]

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for target, one, other, turn in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
            total = (x[one] + x[other]) & 0xFFFFFFFF
            x[target] ^= (total << turn | total >> 32 - turn) & 0xFFFFFFFF

    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11)):
            quarter(a, b, c, d)
        for a, b, c, d in ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)):
            quarter(a, b, c, d)
    return b"".join(x[at].to_bytes(4, "little") for at in (0, 5, 10, 15, 6, 7, 8, 9))
