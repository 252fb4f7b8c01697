"""Paths inside objects as people type them."""

import pytest

from flux_tui.core.content.object_paths import is_object_path, parse_object_path
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import BadIdError, cid_v0, dag_cid

ROOT = dag_cid(b"a folder")
PEER = "12D3KooWERZtDNbzMw7VjBLTKhFc1TiQPWK4utKW3zzotKUwy5ZE"
TICKET = format_ticket(Ticket(ROOT, "tree", 9, (f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}",)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ROOT, ()),
        (f" {ROOT}/ ", ()),
        (f"{ROOT}/a/b.txt", ("a", "b.txt")),
        (f"{ROOT}//a///b.txt/", ("a", "b.txt")),
        (f"{ROOT}/a%20b/c d", ("a%20b", "c d")),
        (f"/ipfs/{ROOT}/a", ("a",)),
        (f"ipfs://{ROOT}", ()),
        (f"ipfs://{ROOT}/a%20b/%C3%A4?x=1#y", ("a b", "ä")),
        (f"https://gateway.example/ipfs/{ROOT}/a?filename=x", ("a",)),
        (f"http://127.0.0.1:8080/ipfs/{ROOT}", ()),
        (f"https://{ROOT}.ipfs.dweb.link/a/b", ("a", "b")),
        (f"{cid_v0(ROOT)}/a", ("a",)),
    ],
)
def test_what_is_typed_is_read(text: str, names: tuple[str, ...]) -> None:
    found = parse_object_path(text)
    assert (found.ticket.root, found.names) == (ROOT, names)
    assert is_object_path(text) == bool(names)


def test_a_path_may_follow_a_ticket() -> None:
    found = parse_object_path(f"{TICKET}/a/b")
    assert (found.ticket.root, found.ticket.addrs[0][:20], found.names) == (
        ROOT,
        "/ip4/192.0.2.7/tcp/4",
        ("a", "b"),
    )
    assert parse_object_path(TICKET).ticket.name == "tree"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (f"{ROOT}/a/../b", "'..'"),
        (f"{ROOT}/./b", "'.'"),
        (f"ipfs://{ROOT}/%2e%2e/b", "'..'"),
        (f"https://x/ipfs/{ROOT}/a%2Fb", "slash"),
        (f"https://x/ipfs/{ROOT}/%ff", "UTF-8"),
        (f"{ROOT}/a\0b", "NUL"),
        (f"{ROOT}/{'x' * 256}", "255"),
        (f"{ROOT}/{'x/' * 513}", "512"),
        (f"/ipns/{ROOT}", "IPNS"),
        ("https://example.com/film.mkv", "names no object"),
        ("https://[::1/ipfs/x", "cannot be parsed"),
        ("bafy/a", "not a CID"),
    ],
)
def test_what_cannot_be_a_path_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(BadIdError, match=why.replace("(", r"\(").replace(".", r"\.")):
        parse_object_path(text)
    assert not is_object_path(text)
