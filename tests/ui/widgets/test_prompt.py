"""The prompt's history is there the next time."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flux_tui.ui.widgets.prompt import HISTORY, History, common_start


def test_history_is_saved_in_the_home_by_kind_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history"
    first = History(path)
    for number in range(HISTORY + 50):
        first.add("command", f"goto #{number}")
    first.add("command", f"goto #{HISTORY + 49}")
    first.add("filter", "kind:status_no  busy ")
    first.add("filter", "  ")
    again = History(path)
    assert again.of("command") == [f"goto #{number}" for number in range(50, HISTORY + 50)]
    assert again.of("filter") == ["kind:status_no busy"]
    assert again.of("goto") == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_unwritable_home_forgets_silently(tmp_path: Path) -> None:
    history = History(tmp_path / "none" / "history")
    history.add("command", "help")
    assert history.of("command") == ["help"]
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n\ncommand x\n")
    assert History(tmp_path / "binary").of("command") == ["x"]


@given(st.lists(st.text("ab", max_size=4), min_size=1))
def test_the_common_start_of_lines(lines: list[str]) -> None:
    start = common_start(lines)
    assert all(line.startswith(start) for line in lines)
    longer = {line[: len(start) + 1] for line in lines}
    assert len(longer) > 1 or longer == {start}
