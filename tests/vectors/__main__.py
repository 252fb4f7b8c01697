"""Write the test vectors next to this file.

    python -m tests.vectors

frames.json    every kind of message: its msgpack array as JSON, and its frame as hex (prefix, header, payload)
intents.json   every kind of intent: the key that signs it, the signed bytes, the signature, the gossip message
accepted.json  headers that a peer has to take although this version writes them otherwise, and what they mean
refused.json   frames that a peer has to refuse, and why
skipped.json   frames that a later version may send: a peer passes over them
parts.json     which blocks of an object a `part` names
customs.json   the CIDs by which a `status_no` names a custom
addrs.json     what an address in an intent means, by the intent's origin
tickets.json   tickets, and what is in them
pnet.json      beginnings of connections in a private swarm: not written here, but by js-libp2p

In the JSON form of an array, bytes are written as {"hex": "…"}. test_vectors.py encodes and decodes all of it
byte by byte.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import msgspec
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.custom.outbox import name_of
from flux_tui.core.ids import Cid, PeerId, own_addr, raw_cid
from flux_tui.core.wire import codec, messages
from flux_tui.core.wire.messages import Intent, IntentBody, Message, SealedIntent

FOLDER = Path(__file__).parent
SEED = bytes(range(32))
"""The seed of the Ed25519 key in intents.json."""
HELLO = b"hello"
LEAF = raw_cid(HELLO)
OTHER = raw_cid(b"other")
ROOT = Cid("bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq")
KEY = create_new_key_pair(SEED)
ORIGIN = PeerId(str(ID.from_pubkey(KEY.public_key)))
ADDR = f"/ip4/192.0.2.7/tcp/4001/p2p/{ORIGIN}"


def seal(intent: Intent) -> SealedIntent:
    """Return an intent, signed with the key."""
    signed = codec.encode_intent(intent)
    return SealedIntent(signed=signed, signature=KEY.private_key.sign(signed))


DIRECT: tuple[tuple[Message, bytes], ...] = (
    (messages.Chunk(cid=LEAF), HELLO),
    (messages.Grant(cids=(LEAF, OTHER), ttl=2.5), b""),
    (messages.Cancel(cids=(OTHER,)), b""),
    (messages.Cancel(cids=(LEAF, OTHER), confirm=True), b""),
    (messages.Cancelled(cids=(OTHER,)), b""),
    (messages.StatusNo(cids=(ROOT,), reason="rate_limited", has_it=True, retry_after=1.25, text=""), b""),
    (
        messages.StatusNo(cids=(ROOT,), reason="denied", has_it=True, retry_after=None, text="members only"),
        b"",
    ),
    (messages.StatusYesButLater(cids=(LEAF, OTHER), eta=0.0, queue_bytes=0), b""),
    (
        messages.StatusYesButLater(
            cids=(ROOT,), eta=0.75, queue_bytes=1 << 20, name="film.mkv", size=1_048_577, have=2, part=b"\xa0"
        ),
        b"",
    ),
    (messages.Error(text="the file was changed or removed", cids=(LEAF,)), b""),
    (messages.StatusNo(cids=(ROOT,), reason="low_space", has_it=False, retry_after=60.0, about="hold"), b""),
    (messages.CanHold(root=ROOT, whole=False), b""),
    (messages.Keep(root=ROOT, size=1_048_577, name="film.mkv"), b""),
    (messages.Held(cids=(ROOT,), how="whole"), b""),
    (messages.Held(cids=(ROOT,), how="gone", reason="low_space"), b""),
    (messages.Release(cids=(ROOT,)), b""),
    (messages.Custom(kind="presence", payload=b"\x00\xff"), b""),
    (
        messages.StatusNo(
            cids=(name_of(messages.Custom(kind="presence", payload=b"\x00\xff")),),
            reason="rate_limited",
            has_it=False,
            retry_after=1.5,
        ),
        b"",
    ),
    (
        messages.StatusYesButLater(
            cids=(ROOT,), eta=0.0, queue_bytes=0, size=1_048_577, have=None, part=None
        ),
        b"",
    ),
    (messages.Keep(root=ROOT, size=messages.MAX_SIZE, name="n" * messages.MAX_NAME), b""),
    (
        messages.Route(
            intent=seal(
                Intent(
                    origin=ORIGIN,
                    nonce=b"routed-1",
                    expires=1_900_000_000.5,
                    body=messages.Want(cids=(ROOT,)),
                )
            ),
            hops=2,
        ),
        b"",
    ),
)
BODIES: tuple[IntentBody, ...] = (
    messages.Want(cids=(ROOT,)),
    messages.Want(cids=(LEAF, OTHER), retry=True),
    messages.Have(root=ROOT, size=1_048_577, name="film.mkv"),
    messages.Have(
        root=ROOT,
        size=1_048_577,
        more=(
            messages.Announced(root=LEAF, size=7, name="notes.txt"),
            messages.Announced(root=OTHER, size=0),
        ),
    ),
    messages.Hold(root=ROOT, size=1_048_577, replicas=3, name="film.mkv"),
    messages.Custom(kind="presence", payload=b"here"),
)
TICKETS = (
    Ticket(ROOT, "film.mkv", 1_048_577, (ADDR, f"/ip6/2001:db8::7/tcp/4001/p2p/{ORIGIN}")),
    Ticket(LEAF, None, None, ()),
)  # fmt: skip


def frames() -> list[dict[str, Any]]:
    """Return every direct message, with its payload."""
    return [
        {
            "kind": _tag(message),
            "array": to_json(msgspec.to_builtins(message, builtin_types=(bytes,))),
            "payload": payload.hex(),
            "frame": (codec.encode_frame(message, len(payload)) + payload).hex(),
        }
        for message, payload in DIRECT
    ]


def intents() -> list[dict[str, Any]]:
    """Return every intent, signed."""
    found = []
    for number, body in enumerate(BODIES):
        addrs = (ADDR,) if number == 0 else ()
        intent = Intent(
            origin=ORIGIN, nonce=bytes([number]) * 12, expires=1_900_000_000.5, body=body, addrs=addrs
        )
        sealed = seal(intent)
        found.append(
            {
                "kind": _tag(body),
                "key_seed": SEED.hex(),
                "origin": ORIGIN,
                "array": to_json(msgspec.to_builtins(intent, builtin_types=(bytes,))),
                "signed": sealed.signed.hex(),
                "signature": sealed.signature.hex(),
                "gossip": codec.encode_sealed(sealed).hex(),
                "frame": codec.encode_frame(sealed).hex(),
            }
        )
    return found


def refused() -> list[dict[str, str]]:
    """Return frames that break the protocol."""

    def frame(header: object, payload: int = 0) -> bytes:
        data: bytes = msgpack.packb(header)
        return (1 << 24 | len(data)).to_bytes(4, "big") + payload.to_bytes(4, "big") + data

    many = [LEAF] * (messages.MAX_CIDS_DIRECT + 1)
    cases = {
        "version 2": b"\x02" + frame(["cancel", [LEAF]])[1:],
        "a header of no bytes": bytes([1, 0, 0, 0, 0, 0, 0, 0]),
        "a header of 65,537 bytes": bytes([1, 1, 0, 1, 0, 0, 0, 0]),
        "a payload of 2,097,153 bytes": frame(["chunk", LEAF], codec.MAX_PAYLOAD + 1),
        "a map instead of an array": frame({"cids": [LEAF]}),
        "a tag that is none": frame(["Please!", [LEAF]]),
        "no tag": frame([]),
        "no CIDs": frame(["cancel", []]),
        "513 CIDs": frame(["cancel", many]),
        "a CID of another form (CIDv0)": frame(
            ["cancel", ["QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKxGnR"]]
        ),
        "a reason that is none": frame(["status_no", [LEAF], "Tired!", True, None, ""]),
        "a float where an integer belongs": frame(["keep", ROOT, 3.0]),
        "a size above 2^53": frame(["keep", ROOT, messages.MAX_SIZE + 1]),
        "a text of 513 characters": frame(["error", "x" * (messages.MAX_TEXT + 1)]),
        "a name of 256 characters": frame(["keep", ROOT, 1, "n" * (messages.MAX_NAME + 1)]),
        "bytes where text belongs": frame(["keep", ROOT, 1, b"name"]),
        "text where bytes belong": frame(["custom", "presence", "aGVsbG8="]),
        "nil where it is not the default": frame(["status_no", [LEAF], "busy", False, None, None]),
        "an upper-case kind": frame(["custom", "Presence", b""]),
        "a kind of 65 characters": frame(["custom", "k" * (messages.MAX_KIND + 1), b""]),
        "a payload of a custom of 32,769 bytes": frame(
            ["custom", "presence", bytes(messages.MAX_PAYLOAD_CUSTOM + 1)]
        ),
        "a part of 8,193 bytes": frame(
            ["status_yes_but_later", [ROOT], 0.0, 0, None, None, 1, bytes(messages.MAX_PART + 1)]
        ),
        "a route with 3 hops": frame(["route", ["intent", b"", bytes(64)], messages.MAX_HOPS + 1]),
        "a signature of 63 bytes": frame(["intent", b"", bytes(63)]),
        "signed bytes above 49,152": frame(["intent", bytes(messages.MAX_SIGNED + 1), bytes(64)]),
        "an ext": frame(["grant", [LEAF], 1.0, msgpack.ExtType(1, b"x")]),
        "a negative time": frame(["grant", [LEAF], -1.0]),
        "a time that is not a number": frame(["grant", [LEAF], float("nan")]),
        "trailing bytes after the array": _longer(frame(["cancel", [LEAF]])),
        "msgpack that ends too early": frame(["cancel", [LEAF]])[:-1],
    }
    return [{"why": why, "frame": data.hex()} for why, data in cases.items()]


def accepted() -> list[dict[str, Any]]:
    """Headers that other implementations may write, and the array that they mean."""
    cases: dict[str, tuple[list[Any], Message]] = {
        "a duration as an integer": (["grant", [LEAF], 3], messages.Grant(cids=(LEAF,), ttl=3.0)),
        "defaults left out": (
            ["status_yes_but_later", [LEAF], 0, 0],
            messages.StatusYesButLater(cids=(LEAF,), eta=0.0, queue_bytes=0),
        ),
        "a CID twice": (["cancel", [LEAF, LEAF]], messages.Cancel(cids=(LEAF, LEAF))),
        "a field of a later version": (
            ["can_hold", ROOT, True, {"later": 1}],
            messages.CanHold(root=ROOT, whole=True),
        ),
        "a wait above 600 s, which counts as 600": (
            ["status_no", [LEAF], "busy", True, messages.MAX_SECONDS],
            messages.StatusNo(cids=(LEAF,), reason="busy", has_it=True, retry_after=messages.MAX_SECONDS),
        ),
    }
    return [
        {
            "why": why,
            "header": msgpack.packb(array).hex(),
            "means": to_json(msgspec.to_builtins(message, builtin_types=(bytes,))),
        }
        for why, (array, message) in cases.items()
    ]


def parts() -> list[dict[str, Any]]:
    """An object of nine leaves and a root, and the bitmap of those that a peer has."""
    blocks = sorted([*(raw_cid(b"block %d" % number) for number in range(9)), ROOT])
    have = blocks[0:1] + blocks[3:5] + blocks[8:]
    bits = sum(1 << number for number, cid in enumerate(blocks) if cid in have)
    return [{"blocks": blocks, "have": have, "part": bits.to_bytes(2, "little").hex()}]


def customs() -> list[dict[str, Any]]:
    """Return customs and their names."""
    found = [messages.Custom(kind="presence", payload=b"\x00\xff"), messages.Custom(kind="a.b")]
    return [{"kind": one.kind, "payload": {"hex": one.payload.hex()}, "name": name_of(one)} for one in found]


def addrs() -> list[dict[str, str | None]]:
    """Addresses of an intent of ORIGIN, and what is dialled."""
    other = "12D3KooWLHHjNr3Fyy9SmuFLy4k6LpNQdaabg8XTjjFEWV8FCyCi"
    cases = (
        ADDR,
        "/ip4/192.0.2.7/tcp/4001",
        f"/ip4/192.0.2.9/tcp/4001/p2p/{other}/p2p-circuit",
        f"/ip4/192.0.2.9/tcp/4001/p2p/{other}/p2p-circuit/p2p/{ORIGIN}",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{other}",
        "192.0.2.7:4001",
    )
    return [{"origin": ORIGIN, "addr": addr, "dialled": own_addr(addr, ORIGIN)} for addr in cases]


def skipped() -> list[dict[str, str]]:
    """Frames that a later version may send: a peer passes over them, their payloads included."""

    def frame(header: object, payload: bytes = b"") -> str:
        data: bytes = msgpack.packb(header)
        prefix = (1 << 24 | len(data)).to_bytes(4, "big") + len(payload).to_bytes(4, "big")
        return (prefix + data + payload).hex()

    return [
        {"why": "a tag that is not known", "kind": "please", "frame": frame(["please", [LEAF]])},
        {"why": "the same with a payload", "kind": "please", "frame": frame(["please", 7], HELLO)},
        {
            "why": "a reason that is not known",
            "kind": "status_no tired",
            "frame": frame(["status_no", [LEAF], "tired", True, None, ""]),
        },
    ]


def tickets() -> list[dict[str, Any]]:
    """Tickets, in words."""
    return [{"ticket": format_ticket(ticket), **ticket._asdict()} for ticket in TICKETS]


def to_json(value: Any) -> Any:
    """A msgpack value as JSON: bytes become {"hex": …}."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


def from_json(value: Any) -> Any:
    """Convert JSON back to a msgpack value."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return [from_json(item) for item in value] if isinstance(value, list) else value


def _tag(message: msgspec.Struct) -> str:
    return str(message.__struct_config__.tag)


def _longer(frame: bytes) -> bytes:
    header = frame[8:] + b"\xc0"
    return (1 << 24 | len(header)).to_bytes(4, "big") + frame[4:8] + header


FILES: dict[str, Callable[[], list[Any]]] = {
    "frames": frames,
    "intents": intents,
    "accepted": accepted,
    "refused": refused,
    "skipped": skipped,
    "parts": parts,
    "customs": customs,
    "addrs": addrs,
    "tickets": tickets,
}


def main() -> None:
    """Run the command."""
    for name, make in FILES.items():
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")
        print(path)


if __name__ == "__main__":
    main()
