"""Signed records of peers: libp2p's envelope of a peer record (RFC 0002 and 0003 of libp2p's specifications).

Identify and libp2p's DHT carry the same records, so every libp2p peer can read them.
"""

import logging
from collections.abc import Sequence

from libp2p.crypto.keys import PrivateKey
from libp2p.peer.envelope import ENVELOPE_DOMAIN, consume_envelope, seal_record
from libp2p.peer.id import ID
from libp2p.peer.peer_record import PeerRecord
from multiaddr import Multiaddr

from flux_tui.core.ids import BadIdError, parse_peer_id
from flux_tui.core.wire.exchange import MAX_RECORD, OpenedRecord

log = logging.getLogger(__name__)

MAX_ADDRS, MAX_ADDR = 8, 256
"""Addresses of one record that are told or read, and characters of one."""


def seal(key: PrivateKey, addrs: Sequence[str], seq: int) -> bytes:
    """Return the signed record of the peer with this key. `seq`: its number; a newer record has a greater one.

    The last addresses are left out if the record would be longer than MAX_RECORD bytes.
    """
    peer = ID.from_pubkey(key.get_public_key())
    chosen = [Multiaddr(addr) for addr in addrs[:MAX_ADDRS]]
    while True:
        sealed = seal_record(PeerRecord(peer, chosen, seq), key).marshal_envelope()
        if len(sealed) <= MAX_RECORD or not chosen:
            return sealed
        chosen.pop()


def open_sealed(sealed: bytes) -> OpenedRecord | None:
    """Check a signed record, and return its content; None: it is no record, or its peer did not sign it."""
    if len(sealed) > MAX_RECORD:
        return None
    try:
        envelope, record = consume_envelope(sealed, ENVELOPE_DOMAIN)
        if ID.from_pubkey(envelope.public_key) != record.peer_id:
            return None
        peer = parse_peer_id(str(record.peer_id))
        addrs = tuple(text for addr in record.addrs[:MAX_ADDRS] if len(text := str(addr)) <= MAX_ADDR)
    except BadIdError:
        return None
    except Exception as error:  # protobuf, multiaddr and libsodium raise kinds of their own
        log.debug("not a record: %r", error)
        return None
    return OpenedRecord(peer, addrs, record.seq, sealed)
