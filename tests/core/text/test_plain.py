"""Text of others, made safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.text.plain import MARKS, plain, plain_lines

STEERS = {
    "\x1b]0;OWNED\x07": r"\x1b]0;OWNED\x07",
    "\x1bc": r"\x1bc",
    "\x00\x08\x7f": r"\x00\x08\x7f",
    "\x9b2J\x9d0;t\x9c": r"\x9b2J\x9d0;t\x9c",
    "a\tb\nc\rd": r"a\tb\nc\rd",
    "a\x0bb\x0cc\x1cd\x85e": r"a\x0bb\x0cc\x1cd\x85e",
    "a\u2028b\u2029c": r"a\u2028b\u2029c",
}
HIDES = {
    "gpj\u202e.exe": r"gpj\u202e.exe",
    "\u2066a\u2069\u200e\u200f\u061c": r"\u2066a\u2069\u200e\u200f\u061c",
    "a\u200bb\u200cc\u200dd\u2060e\ufefff": r"a\u200bb\u200cc\u200dd\u2060e\ufefff",
    "a\u00adb\u034fc\u180ed": r"a\xadb\u034fc\u180ed",
    "\u115f\u1160\u3164\uffa0\u2800": r"\u115f\u1160\u3164\uffa0\u2800",
    "flag\U000e0067\U000e007f": r"flag\U000e0067\U000e007f",
    "a\ufe0f\ufe0e\U000e0100": r"a\ufe0f\ufe0e\U000e0100",
    "👩\u200d👧 ❤\ufe0f": r"👩\u200d👧 ❤\ufe0f",
    "\ud800 \udcff": r"\ud800 \udcff",
    "\ue000\U000f0000 \u0378\uffff": r"\ue000\U000f0000 \u0378\uffff",
}
KEPT = [
    "a film.mkv",
    r"C:\new\x",
    "[bold]{x}% <b>",
    "naïve café",
    "cafe\u0301",
    "山田　太郎.pdf",
    "Bildschirmfoto um 9.41\u202fAM",
    "a\u00a0b",
    "שלום",
    "नमस्ते",
    "ผู้ใหญ่",
    "🎬🇺🇦👍🏽",
    "● live · 3 → ▁▂▃",
]


@pytest.mark.parametrize(("text", "shown"), [*STEERS.items(), *HIDES.items()])
def test_control_and_invisible_characters_are_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", KEPT)
def test_visible_characters_stay(text: str) -> None:
    assert plain(text) == text


def test_combining_marks_are_limited() -> None:
    piled = plain("z" + "\u0301" * 50)
    assert piled.count("\u0301") == MARKS
    assert piled.endswith(r"\u0301")


def test_names_that_differ_look_different() -> None:
    names = [
        "ab",
        *(f"a{one}b" for one in "\x00\x07\x1b\x7f\x85\u200b\u200d\u202e\u2066\ufeff\ufe0f\udcff\ue000"),
    ]
    assert len({plain(name) for name in names}) == len(names)


def test_lines_stay_lines() -> None:
    assert plain_lines("one\x1b", "two\r\n", "\u2028") == "one\\x1b\ntwo\\r\\n\n\\u2028"


@given(st.text())
def test_plain_text_is_one_line_of_visible_characters(text: str) -> None:
    shown = plain(text)
    assert len(shown.splitlines()) <= 1
    assert {unicodedata.category(one) for one in shown} <= _SEEN, ascii(shown)
    shown.encode()
    assert plain(shown) == shown


_SEEN = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
    "Sm", "Sc", "Sk", "So", "Zs",
}  # fmt: skip
