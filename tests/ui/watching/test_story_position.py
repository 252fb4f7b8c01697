"""Which node and panel a story wants to show, without an app."""

from flux_tui.ui.watching.captions import Caption, Pointer
from flux_tui.ui.watching.story_position import Narration


class Teller:
    """A narrator whose caption a test sets."""

    def __init__(self) -> None:
        self.caption = Caption("once", 1, 3)
        self.calls: list[object] = []

    def move(self, by: int) -> None:
        self.calls.append(by)

    def press(self) -> None:
        self.calls.append("press")

    def toggle_pause(self) -> None:
        self.calls.append("pause")


def test_without_a_narrator_nothing_is_told() -> None:
    narration = Narration(None)
    assert not narration.active
    assert narration.read() is None
    narration.page(1)
    narration.toggle_pause()
    assert not narration.paused


def test_a_node_is_shown_when_a_caption_names_another_one() -> None:
    narration = Narration(Teller())
    assert narration.node_to_show(Caption("", 1, 3)) is None
    assert narration.node_to_show(Caption("", 1, 3, node="ada")) == "ada"
    assert narration.node_to_show(Caption("", 2, 3, node="ada")) is None, "a person may look elsewhere"
    assert narration.node_to_show(Caption("", 3, 3, node="bob")) == "bob"


def test_a_panel_is_shown_once_a_caption_and_left_again() -> None:
    narration = Narration(Teller())
    first = Caption("", 1, 3, panel="noes")
    assert narration.panel_to_show(first, "series", "series") == "noes"
    assert narration.panel_to_show(first, "peers", "series") is None, "once"
    assert narration.panel_to_show(Caption("", 2, 3), "noes", "series") == "series"
    assert narration.panel_to_show(Caption("", 3, 3), "peers", "series") is None, "what was chosen stays"


def test_pages_and_pauses_go_to_the_narrator() -> None:
    teller = Teller()
    narration = Narration(teller)
    narration.page(-1)
    narration.toggle_pause()
    assert teller.calls == [-1, "pause"]
    teller.caption = Caption("once", 1, 3, paused=True)
    assert narration.read() == teller.caption
    assert narration.paused


def test_what_a_caption_points_at_is_shown_once() -> None:
    narration = Narration(Teller())
    pointer = Pointer(select="film.mkv")
    first = Caption("", 1, 3, panel="pending", pointer=pointer)
    assert narration.pointer_to_show(first) is None, "its panel comes first"
    narration.panel_to_show(first, "series", "series")
    assert narration.pointer_to_show(first) == pointer
    assert narration.pointer_to_show(first) == pointer, "until its line exists"
    narration.pointer_shown()
    assert narration.pointer_to_show(first) is None, "then the person moves the selection"
    second = Caption("", 2, 3)
    narration.panel_to_show(second, "pending", "series")
    assert narration.pointer_to_show(second) is None


def test_a_press_goes_to_the_narrator() -> None:
    teller = Teller()
    Narration(teller).press()
    Narration(None).press()
    assert teller.calls == ["press"]
