"""Write the test vectors next to this file.

    python -m tests.vectors

frames.json    every kind of message: its msgpack array as JSON, and its frame as hex (prefix, header, payload)
intents.json   every kind of intent: the key that signs it, the signed bytes, the signature, the gossip message
refused.json   frames that a peer has to refuse, and why
tickets.json   tickets, and what is in them
pnet.json      beginnings of connections in a private swarm: not written here, but by js-libp2p

In the JSON form of an array, bytes are written as {"hex": "…"}. test_vectors.py encodes and decodes all of it
byte by byte.
"""

import json
from pathlib import Path
from typing import Any

import msgpack
import msgspec
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from flux_tui.core import codec, messages
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.messages import Intent, IntentBody, Message, SealedIntent
from flux_tui.core.ticket import Ticket, format_ticket

FOLDER = Path(__file__).parent
SEED = bytes(range(32))
"""Of the Ed25519 key in intents.json."""
HELLO = b"hello"
LEAF = raw_cid(HELLO)
OTHER = raw_cid(b"other")
ROOT = Cid("bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq")
KEY = create_new_key_pair(SEED)
ORIGIN = PeerId(str(ID.from_pubkey(KEY.public_key)))
ADDR = f"/ip4/192.0.2.7/tcp/4001/p2p/{ORIGIN}"


def seal(intent: Intent) -> SealedIntent:
    """An intent, signed with the key."""
    signed = codec.encode_intent(intent)
    return SealedIntent(signed=signed, signature=KEY.private_key.sign(signed))


DIRECT: tuple[tuple[Message, bytes], ...] = (
    (messages.Chunk(cid=LEAF), HELLO),
    (messages.Grant(cids=(LEAF, OTHER), ttl=2.5), b""),
    (messages.Cancel(cids=(OTHER,)), b""),
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
    messages.Hold(root=ROOT, size=1_048_577, replicas=3, name="film.mkv"),
    messages.Custom(kind="presence", payload=b"here"),
)
TICKETS = (
    Ticket(ROOT, "film.mkv", 1_048_577, (ADDR, f"/ip6/2001:db8::7/tcp/4001/p2p/{ORIGIN}")),
    Ticket(LEAF, None, None, ()),
)  # fmt: skip


def frames() -> list[dict[str, Any]]:
    """Every direct message, with what follows it."""
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
    """Every intent, signed."""
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
    """Frames that break the protocol."""

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
        "a tag that is none": frame(["please", [LEAF]]),
        "no tag": frame([]),
        "no CIDs": frame(["cancel", []]),
        "513 CIDs": frame(["cancel", many]),
        "a CID of another form (CIDv0)": frame(
            ["cancel", ["QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKxGnR"]]
        ),
        "a reason that is none": frame(["status_no", [LEAF], "tired", True, None, ""]),
        "a negative time": frame(["grant", [LEAF], -1.0]),
        "a time that is not a number": frame(["grant", [LEAF], float("nan")]),
        "trailing bytes after the array": _longer(frame(["cancel", [LEAF]])),
        "msgpack that ends too early": frame(["cancel", [LEAF]])[:-1],
    }
    return [{"why": why, "frame": data.hex()} for why, data in cases.items()]


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
    """And back."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return [from_json(item) for item in value] if isinstance(value, list) else value


def _tag(message: msgspec.Struct) -> str:
    return str(message.__struct_config__.tag)


def _longer(frame: bytes) -> bytes:
    header = frame[8:] + b"\xc0"
    return (1 << 24 | len(header)).to_bytes(4, "big") + frame[4:8] + header


FILES = {"frames": frames, "intents": intents, "refused": refused, "tickets": tickets}


def main() -> None:
    """The command."""
    for name, make in FILES.items():
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n")
        print(path)


if __name__ == "__main__":
    main()
