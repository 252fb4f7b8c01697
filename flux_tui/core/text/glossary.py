"""The glossary: explains each word on the screen in one or two plain sentences. Pure.

The dashboard's help and a part of the README are made from it. A test fails if a kind of entry, a reason, a cause,
a standing or a column is not explained here.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

WORDS: Mapping[str, str] = {
    "want": "What this node asks for: an object, or one chunk. It stays pending until it is whole or cancelled.",
    "intent": "A signed message to many: this node wants or has something. Nobody waits for an answer to it.",
    "push": "Send without being asked, and without waiting for an answer. Everything here is pushed.",
    "pending": "Wanted and not whole yet.",
    "queued": "Pending, but not in the network yet: as many intents are out as max_pending allows.",
    "dormant": "Pending without a place in the network, as no holder is about to send it. It is pushed again later.",
    "retry": "The next push of a want, or the next grant to a holder, with the time when it is due.",
    "NO": "An answer that says why not now, and when to ask again. A NO is data: the requester plans with it.",
    "has": "Whether a peer has what it was asked for. part: one thing yes, another no; ?: it never said.",
    "holder": "A peer that has an object, or chunks of it.",
    "grant": "Tell one holder to send certain chunks. Until the deadline no other holder is told to send them.",
    "lease": "The time that a holder has for granted chunks. When it lapses, they can be granted to another holder.",
    "lapsed": "A lease ended without its chunk. Whether that was the holder's fault is said beside it.",
    "hedge": "A chunk that is overdue, granted to a second holder too. Whichever comes first counts.",
    "gave": "In Peers: the share of granted chunks that a peer sent, or refused in time.",
    "delivered": "The chunks of a grant that came.",
    "took back": "A peer said that it has a chunk, and did not have it when it was granted.",
    "wasted": "Bytes that came and were of no use. The cause is said beside them.",
    "duplicate factor": "Bytes received, over bytes of use. 1.00 is perfect, 2.00 means that everything came twice.",
    "dup": "The duplicate factor, or in Throughput the share of bytes that came twice.",
    "eta": "When a download will be whole, by what came lately. In a yes: the seconds until its holder can begin.",
    "ratio": "Bytes sent, over bytes received. Above 1 this node gave more than it took.",
    "object": "A file or folder, named by the hash of its content.",
    "chunk": "A piece of an object of at most 1 MiB, named by its hash. It can come from any peer.",
    "loose chunk": "A chunk that was wanted by itself, not as a part of an object.",
    "root": "The chunk that an object begins with. Its CID names the object.",
    "CID": "The name of a chunk or object, made from its hash: two things with the same CID are the same bytes.",
    "ticket": "A line that names an object and some addresses where it can be had. `get` takes it.",
    "block map": "The blocks of an object in a row: here, on their way and from whom, or missing.",
    "whole": "Every chunk is here and matches its hash.",
    "changed since": "It was whole, and a file of it was changed or removed. It is not shared any more.",
    "changed": "In Peers: a peer whose copy is not what it said any more. It refuses chunks that it had said it has.",
    "wanted": "In Objects: not whole yet.",
    "here": "In Objects: whole, and yours.",
    "shared": "In Objects: added here, or asked for by others.",
    "kept for others": "In Objects: replicas that this node keeps because other nodes asked it to.",
    "replica": "A copy of an object that another node keeps because it was asked to.",
    "hold": "A wish that others keep replicas of an object. It stands until it is released.",
    "keeper": "A node that keeps a replica.",
    "origin": "The node that signed an intent, or for which a replica is kept.",
    "peer": "Another node.",
    "gone": "Not connected. It is dialled again from time to time.",
    "gossip": "Intents that nodes forward to those that they know, so that they reach many.",
    "swarm": "All nodes that are connected with each other, directly or through others.",
    "cursor": "The moment that all panels show. Live, it is at the end of the series.",
    "live": "The cursor follows what happens now.",
    "frozen": "The cursor stands at a moment. The node goes on, and nothing on the screen jumps.",
    "series": "All that happened, one entry after the other. Nothing in it changes, and every panel follows from it.",
    "run": "Like entries that came together, drawn as one line with their number.",
    "backoff": "Waiting longer before each try that follows a failure.",
    "fault": "Something that a peer did against the protocol. Too many, and it is disconnected for a while.",
    "policy": "What this node gives to others: rates, uploads at once, peers that it serves, and room for replicas.",
}  # fmt: skip

REASONS: Mapping[str, str] = {
    "rate_limited": "The peer has it, and its upload limit is used up for now. It says when to ask again.",
    "busy": "The peer has it, and serves as many peers as it may. It says when to ask again.",
    "low_space": "The peer has no room for a replica.",
    "not_held": "The peer does not have it, or not any more.",
    "denied": "The peer's policy does not serve this node. Waiting does not help.",
    "too_large": "The object is larger than the replicas that the peer keeps.",
    "shutting_down": "The peer is about to stop.",
}

STANDINGS: Mapping[str, str] = {
    "good": "In Peers: chunks flow or flowed, and nothing is wrong.",
    "quiet": "In Peers: connected, and nothing has flowed yet.",
    "late": "A lease lapsed, so the peer is left alone for a moment; or it often sends too late.",
    "at fault": "The peer broke the protocol lately.",
    "sends": "Chunks were granted to this peer and are on their way.",
    "ready": "The peer said that it has it, and may be granted chunks now.",
    "unwritten": "The peer has it. It is granted nothing for now, because the object cannot be written here.",
    "waits": "The peer has it and said NO. It is asked again at the time that it named.",
    "silent": "The want was pushed to this peer, and it has not answered.",
    "lacks": "The peer said that it has it, and then did not have chunks that it was granted.",
    "has_none": "The peer said that it does not have it.",
    "denies": "The peer has it and gives this node nothing.",
    "gone": "The peer is not connected. It is asked when it comes back.",
    "unasked": "The peer is connected, and the want was not pushed to it yet.",
    "no_yes": "The peer is connected, and has not said that it has this chunk.",
}
"""How a peer stands, in Peers or to one want."""

WASTES: Mapping[str, str] = {
    "duplicate": "This node had the chunk already.",
    "late": "Its lease had lapsed, and another holder was faster.",
    "corrupt": "The bytes did not match their hash.",
    "unasked": "The chunk was never granted to that peer.",
    "hedged": "It was overdue, was granted to a second holder too, and came from both.",
    "cancelled": "It was on its way when it was no longer wanted.",
    "unwritten": "It could not be written here.",
}
"""Why bytes were of no use."""

RETRIES: Mapping[str, str] = {
    "retry_after": "A NO named the time.",
    "eta": "A yes named the time.",
    "lapsed": "A lease lapsed, and nobody else sends it.",
    "silence": "No peer answered.",
    "asked": "A person asked for it.",
    "unwritten": "It could not be written here.",
}
"""Why a want is pushed again."""

LAPSES: Mapping[str, str] = {
    "deadline": "The chunk did not come in time.",
    "disconnected": "The holder disconnected.",
    "restarted": "This node was started again.",
    "refused": "The holder said NO.",
    "corrupt": "The holder sent wrong bytes.",
    "slow": "The holder's queue here was full.",
    "unwritten": "Chunks cannot be written here now.",
    "moved": "Another holder sends it sooner.",
}
"""Why a lease ended without its chunk."""

KEEPS: Mapping[str, str] = {
    "begun": "The keeper fetches the replica.",
    "whole": "The keeper has all of the replica.",
    "gone": "The keeper has dropped the replica.",
}
"""How much of a replica its keeper has."""

LOSSES: Mapping[str, str] = {
    "left": "It disconnected and did not come back.",
    "silent": "It never said that it had begun.",
    "slow": "Its queue here was full.",
    "surplus": "Fewer replicas are wanted now.",
}
"""Why a peer does not count as a keeper any more."""

DROPS: Mapping[str, str] = {
    "released": "No origin needs it any more.",
    "evicted": "Another replica needed the room.",
    "quota": "The quota is smaller now.",
    "low_space": "It turned out to be larger than the room that there is.",
    "too_large": "It turned out to be larger than replicas may be.",
    "denied": "The policy refuses all its origins.",
    "cancelled": "A person here dropped it.",
    "failed": "It could not be fetched.",
    "lost": "Its file was changed or removed.",
}
"""Why a replica is no longer kept here."""

KINDS: Mapping[str, str] = {
    "requested": "A person or a program here wants something. From now on it is pending.",
    "pushed_want": "An intent left this node: it wants these.",
    "went_dormant": "No holder is about to send these. They give up their places in the network until their next push.",
    "retry_set": "The time of the next push changed. The cause says why.",
    "granted": "One holder was told to send these chunks. Until the deadline no other holder is.",
    "lease_extended": "Granted chunks are late, but no other peer has them. Their holder gets more time.",
    "lease_lapsed": "Granted chunks did not come. They can be granted to another holder.",
    "cancelled": "These are no longer wanted here.",
    "pushed_have": "An intent left this node: others can ask it for this object now.",
    "records_provided": "Nodes of the DHT were told that this node has many roots, and how long the rest takes.",
    "delayed_yes": "A holder answered: yes, as soon as it is told which chunks.",
    "status_no": "A peer answered NO: whether it has it, why it does not send it now, and when to ask again.",
    "chunk_received": "A wanted chunk came, matches its hash, and is in the store.",
    "chunk_wasted": "Bytes came that were of no use. The cause says why.",
    "have_received": "A peer announced that it can be asked for something that is pending here.",
    "error_received": "A peer reported that something failed on its side.",
    "intent_received": "Another node wants something, and this node answers it.",
    "answered_later": "This node answered: yes, tell me which chunks.",
    "answered_no": "This node said NO, and why.",
    "grant_received": "A peer granted chunks to this node. They wait in its queue here.",
    "cancel_received": "A peer no longer wants these chunks from this node.",
    "chunks_sent": "Chunks were written to a peer.",
    "add_progressed": "A file or folder is being read, to be shared.",
    "object_added": "A file or folder of this machine can be asked for now. Its bytes stay where they are.",
    "add_cancelled": "A person stopped an add before it was done. Nothing of it is shared.",
    "object_removed": "This is no longer shared from here. Your own files stay as they are.",
    "object_freed": "The store has freed the blocks of an object that was removed.",
    "object_mapped": "More is known of a wanted object: its size, and how many chunks it has.",
    "object_completed": "Every chunk of a wanted object is here, and its file is at its path.",
    "object_refused": "A wanted object was refused, and its blocks will be removed. An error before this says why.",
    "object_discarded": "The blocks of a refused object are removed.",
    "chunks_lost": "Chunks are not here any more: their file was changed or removed.",
    "node_started": "The node opened this home and began to listen.",
    "node_stopped": "The node stopped in order. A killed node leaves no such entry.",
    "clock_stepped": "The clock of this machine was set. Times from here on are those of the new clock.",
    "addrs_changed": "The addresses at which this node can be dialled have changed.",
    "policy_changed": "What this node gives to others has changed.",
    "error": "Something failed here: what, why, and what to do.",
    "peer_connected": "A connection to this peer is open.",
    "peer_moved": "The connection to this peer goes another way from now on. Nothing that was on its way is lost.",
    "heard_nobody": "No peer is connected, although these addresses were dialled. Dialling goes on.",
    "addrs_told": "A peer told where it, or other peers, can be dialled. It is remembered for the next start.",
    "series_pruned": "The oldest entries were dropped, or moved to an archive. The state still includes them.",
    "name_suggested": "A peer told what it calls itself. It is shown as its id until a person names it.",
    "peer_disconnected": "The connection to this peer is gone.",
    "peer_faulted": "A peer broke the protocol. It pays for it, this node does not.",
    "message_passed_over": "A peer sent a kind of message that this version does not know. That is no fault.",
    "clock_differs": "A forwarded intent was refused: it is old, or the two clocks differ.",
    "pushed_custom": "A program here pushed a message of its own kind.",
    "custom_received": "A message of a program's own kind came.",
    "hold_requested": "A person here wants others to keep replicas. It stays so until it is released.",
    "pushed_hold": "An intent left this node: it asks for keepers.",
    "can_hold": "A peer answered that it has room for a replica.",
    "pushed_keep": "A peer was told to keep a replica.",
    "held": "A keeper said how much it has of a replica.",
    "replica_lost": "A peer does not count as a keeper any more. The cause says why.",
    "released": "Others need not keep replicas of these for this node any more.",
    "offered_hold": "A peer asks for keepers, and this node answered that it has room.",
    "keep_received": "A peer told this node to keep a replica. It is kept from now on.",
    "replica_wanted": "A peer takes chunks of a replica that is kept here.",
    "release_received": "A peer no longer needs what is kept for it.",
    "replica_dropped": "A replica is no longer kept here, and its bytes will be removed. The cause says why.",
    "replica_adopted": "A replica is your own object as well now. It takes none of the quota.",
    "replica_evicted": "The store's copy of a replica is gone.",
}
"""The kinds of entries."""

PANELS: Mapping[str, str] = {
    "series": "Every entry, the newest last. → pushed out, ← flowed in, ✗ a NO, ↓ a chunk. A run is one line.",
    "pending": "What is wanted and not whole, and what it waits for.",
    "noes": "Who said NO, why and how often, whether it has it, and when it is asked again.",
    "retries": "When each want is pushed again, and why then.",
    "peers": "What flowed, what was granted and came, how soon each peer answers, and how it stands.",
    "throughput": "The last two minutes. dup is the share of bytes that came twice; its top is 10 %.",
    "flow": "One lane for each peer over time, this node on top. A want reaches many lanes, and each answer is a mark"
    " in its own. A NO lasts until the peer may be asked again.",
    "objects": "What is wanted, here, shared, and kept for others, with blocks, files, and who takes it.",
}  # fmt: skip
"""What each panel shows."""

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "noes": {
        "node": "The peer that said NO.",
        "has": WORDS["has"],
        **REASONS,
        "again": "How long until this peer may be asked again. now: it may be asked; gone: it is not connected.",
    },
    "peers": {
        "peer": "The peer's name, or the end of its id. ● is connected, ○ is gone.",
        "now": "Bytes a second that flow now, in or out.",
        "in": "Bytes that came from it.",
        "out": "Bytes that were sent to it.",
        "granted": "Chunks that it was ever told to send.",
        "came": "Chunks that came from it.",
        "gave": "The share of its granted chunks that it sent, or refused in time.",
        "standing": "How it stands now: good, quiet, late, changed, at fault, gone, or the reason of its NO.",
        "answers": "How soon it answers a want.",
        "way": "Which way the connection goes: direct, punched (both dialled at the same moment, through their NATs),"
        " or relayed. Of a direct link to an IPFS node or a gateway: its protocol, bitswap or http.",
        "address": "Where it is connected.",
    },
}
"""The columns of the panels that are tables, by the names by which they are sorted."""


FACTS: Mapping[str, str] = {
    "why": "Why it is not whole yet, and what comes next. One line for each peer follows.",
    "cid": WORDS["CID"],
    "root": WORDS["root"],
    "name": "What the object or peer is called. Yours are only names here: no peer sees them.",
    "here": "How much of the object is here, and what it is here for.",
    "size": "The bytes of the object.",
    "chunks": "How many of its chunks are here, of how many.",
    "path": "Where the file is, or will be when it is whole.",
    "pending": "How often an intent for it was pushed, and how many peers said yes.",
    "granted to": "The peer that was told to send this chunk.",
    "part of": "The object to which the chunk belongs.",
    "peer": "The id of the peer: it is made from the peer's key, so nobody else can use it.",
    "address": COLUMNS["peers"]["address"],
    "standing": COLUMNS["peers"]["standing"],
    "in": COLUMNS["peers"]["in"],
    "out": COLUMNS["peers"]["out"],
    "granted": COLUMNS["peers"]["granted"],
    "lapsed": WORDS["lapsed"],
    "wasted": WORDS["wasted"],
    "took back": WORDS["took back"],
    "faults": WORDS["fault"],
    "answers in": COLUMNS["peers"]["answers"],
    "said NO": "The NOs that the peer gave to this node, by reason.",
    "heard NO": "The NOs that this node gave to the peer, by reason.",
    "again in": "How long until the peer may be asked again.",
    "together": "The chunks and bytes of all entries of this run.",
    "at": "When the entry was appended, by the clock of this machine.",
    "retry_after": "The seconds after which the peer may be asked again, as it said.",
    "has_it": "Whether the peer has what it was asked for.",
    "deadline": "The time until which the granted chunks have to come. Then they can be granted to another holder.",
    "next_push_at": "When the want is pushed to all again, if nothing comes before.",
    "gossip": WORDS["gossip"],
    "besides": "Whether it was pushed to these peers alone, in addition to the pushes to all.",
    "routed": "Whether it was also sent to peers that are near to it in the DHT.",
    "retry": "Whether it was pushed before.",
    "eta": "The seconds until the holder can begin.",
    "queue_bytes": "The bytes that wait in the holder's queue.",
    "by": "The program or window that pushed the command.",
}
"""The names of the facts in the window Inspect."""

WINDOWS: Mapping[str, tuple[str, str]] = {
    "inspect": (
        "Inspect",
        "All about one entry, object, chunk or peer: the facts above, and below every entry that touches it. A"
        " pending object begins with why it is not here yet, and what comes next.",
    ),
    "want": (
        "Push a want",
        "A ticket names an object and where it can be had. With a bare CID, the connected peers are asked.",
    ),
    "add": (
        "Share",
        "A file or folder can be asked for by others from then on. Its bytes stay where they are.",
    ),
}
"""The windows: the title of each, and what it is for."""


class Group(NamedTuple):
    """A group of glossary terms that belong together, with a title."""

    title: str
    terms: Mapping[str, str]


def groups() -> Iterator[Group]:
    """Yield all terms of the glossary, in groups."""
    yield Group("Words", WORDS)
    yield Group("Reasons of a NO", REASONS)
    yield Group("How a peer stands", STANDINGS)
    yield Group("Why bytes were wasted", WASTES)
    yield Group("Why a lease lapsed", LAPSES)
    yield Group("Why a want is pushed again", RETRIES)
    yield Group("How much a keeper has", KEEPS)
    yield Group("Why a keeper does not count", LOSSES)
    yield Group("Why a replica is dropped", DROPS)
    yield Group("Lines in Inspect", FACTS)
    yield Group("Kinds of entries", KINDS)


def as_markdown() -> str:
    """Return the glossary as it stands in the README: a table for each group."""
    lines: list[str] = []
    for group in groups():
        lines += [f"**{group.title}**", "", "| | |", "|---|---|"]
        lines += [f"| `{term}` | {text} |" for term, text in group.terms.items()]
        lines.append("")
    return "\n".join(lines)
