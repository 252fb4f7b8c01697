"""Facts of Inspect as lines: what is wrapped, and which columns of a table go first."""

from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.text.plain import plain
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.inspect.fact_rows import GAP, LEAST, fact_rows
from flux_tui.ui.rows.inspect.facts import Fact
from flux_tui.ui.rows.view_and_lines import text_of

NEXT = "Next: n2 is granted chunks in 1.5 s, at 20:20:21 (15 chunks to get)."
SAYS, HAS, DID = (
    plain("rate_limited, until 20:20:21 (1.5 s)"),
    plain("has all"),
    plain("granted 16, sent none"),
)


def fact(name: str, *cells: str) -> Fact:
    return Fact(name, plain(", ".join(cells)), ", ".join(cells), cells=tuple(map(plain, cells)))


def lines(facts: list[Fact], width: int) -> list[str]:
    return [text_of(row.line).rstrip() for row in fact_rows(facts, width)]


def test_a_sentence_is_wrapped_and_never_cut() -> None:
    rows = fact_rows([Fact("why", plain(NEXT), NEXT)], 40)
    assert " ".join(text_of(row.line).removeprefix("why").strip() for row in rows) == NEXT
    assert [(row.key, row.title) for row in rows] == [("0", False), ("0/1", True)]


def test_the_table_loses_its_last_columns_first() -> None:
    facts = [fact("n2", SAYS, HAS, DID), fact("ada", "gone", "had all", "granted nothing")]
    wide = f"{SAYS}  {HAS}  {DID}"
    assert lines(facts, 80)[0] == f" n2  {wide}"
    assert lines(facts, len(wide) + 4)[0] == f" n2  {SAYS}  {HAS}"
    assert lines(facts, len(SAYS) + 5)[0] == f" n2  {SAYS}"
    assert lines(facts, 60)[1] == "ada  gone                                  had all"


def test_long_words_are_wrapped_within_their_column() -> None:
    said = 'its copy is not whole any more: "the file was changed or removed"'
    found = lines([fact("n2", SAYS, HAS, DID), fact("n3", said, HAS, DID)], 60)
    assert [line[:4] for line in found] == ["n2  ", "n3  ", "    "]
    assert found[0].endswith(HAS)
    assert found[1].endswith(HAS)


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.lists(st.text(max_size=90), min_size=3, max_size=3)), max_size=5
    ),
    st.integers(10, 120),
)
def test_no_line_is_wider_than_its_room(found: list[tuple[str, list[str]]], width: int) -> None:
    facts = [fact(plain(name), *cells) for name, cells in found]
    facts.append(Fact("why", plain(NEXT), NEXT))
    names = max(cell_width.width(one.name) for one in facts)
    room = max(width, names + GAP + LEAST)
    assert all(cell_width.width(line) <= room for line in lines(facts, width))
