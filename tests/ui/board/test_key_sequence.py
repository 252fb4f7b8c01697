"""Keys of two strokes, without an app."""

from flux_tui.ui.board.key_sequence import KeySequence
from flux_tui.ui.keys import Keys


def test_the_second_key_gives_the_action_and_any_other_ends_the_sequence() -> None:
    changes: list[str] = []
    sequence = KeySequence(Keys(), changed=lambda: changes.append(sequence.first))
    assert sequence.end("p") is None, "nothing has begun"
    assert not changes
    sequence.begin("J")
    action = sequence.end("p")
    assert action is not None
    assert action.name == "panel-2"
    sequence.begin("J")
    assert sequence.end("q") is None
    assert changes == ["J", "", "J", ""]
