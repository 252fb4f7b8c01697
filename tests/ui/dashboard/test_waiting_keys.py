"""Keys that come while a line is being read."""

from textual.events import Key

from flux_tui.ui.dashboard.waiting_keys import WaitingKeys


def test_keys_wait_only_while_a_line_is_read_and_come_in_order() -> None:
    keys = WaitingKeys()
    assert not keys.take(Key("a", "a"))
    keys.begin()
    assert keys.take(Key("b", "b"))
    assert keys.take(Key("enter", None))
    assert [(key.key, key.character) for key in keys.end()] == [("b", "b"), ("enter", None)]
    assert keys.end() == []
    assert not keys.take(Key("c", "c"))
