"""Settings: the file counts, and an error names the file and the key."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from flux_tui.config import (
    SETTINGS,
    UNITS,
    BadValueError,
    Settings,
    SettingsError,
    parse_change,
    parse_rate,
    parse_size,
)
from flux_tui.core.ids import PeerId
from flux_tui.core.series.giving_policy import POLICY, Policy
from flux_tui.core.series.keep_rule import KeepRule
from flux_tui.home import Home
from tests.sample_settings import SAMPLE, sample
from tests.support.rights import without_rights
from tests.support.setting_values import other

PEER = PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS")
SPACES = st.sampled_from(["", " ", "\t", "  "])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home").mkdir()
    return Home(tmp_path / "home")


def with_file(home: Home, text: str) -> Home:
    home.settings.write_text(text)
    return home


# ── sizes and rates ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (65536, 65536),
        ("65536", 65536),
        ("64KiB", 65536),
        ("64 kib", 65536),
        ("64K", 65536),
        ("64KB", 64_000),
        ("1.5 GB", 1_500_000_000),
        ("1.5GiB", 3 << 29),
        (".5MiB", 1 << 19),
        ("  2 TiB ", 2 << 40),
        ("10b", 10),
        ("0.1b", 0),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size
    assert parse_rate(text) == size
    if isinstance(text, str):
        assert parse_rate(f"{text.rstrip()}/s") == parse_rate(f"{text.rstrip()}/sec ") == size


@pytest.mark.parametrize(
    "text", ["", " ", "x", "KiB", "1 2", "1.2.3", "1.", "-1", "+1", "1e3", "1_000", "1 PiB", "0x10", "٣", "1/s/s", "∞"]
)  # fmt: skip
def test_invalid_sizes(text: str) -> None:
    with pytest.raises(BadValueError) as refused:
        parse_rate(text)
    assert (refused.value.value, refused.value.expected) == (text, "a rate such as 2MB/s")
    with pytest.raises(BadValueError) as refused:
        parse_size(text + "/s")
    assert str(refused.value) == f"{text + '/s'!r} is not a size such as 10GiB"


@pytest.mark.parametrize("value", [-5, True, 1.5, None, []])
def test_a_size_is_a_text_or_a_whole_number_from_0(value: object) -> None:
    with pytest.raises(BadValueError, match=re.escape(f"{value!r} is not a size")):
        parse_size(value)


@given(st.integers(0, 10**19), st.sampled_from(sorted(UNITS)), SPACES, SPACES, st.booleans())
def test_whole_numbers_are_exact(number: int, unit: str, before: str, between: str, upper: bool) -> None:
    text = f"{before}{number}{between}{unit.upper() if upper else unit}"
    assert parse_size(text) == number * UNITS[unit]
    assert parse_rate(f"{text}/S") == number * UNITS[unit]


@given(st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(sorted(UNITS)))
def test_fractions_are_cut_to_whole_bytes(whole: int, thousandths: int, unit: str) -> None:
    assert parse_size(f"{whole}.{thousandths:03}{unit}") == (whole * 1000 + thousandths) * UNITS[unit] // 1000


@given(st.text(max_size=12) | st.text(alphabet="0123456789.kKmMgGiIbB/s -+e", max_size=600))
def test_any_text_is_a_size_or_a_sentence(text: str) -> None:
    for parse in (parse_size, parse_rate):
        try:
            found = parse(text)
        except SettingsError:
            continue
        assert found >= 0


# ── where settings come from ────────────────────────────────────────────────────────────────────


def test_defaults_apply_without_a_file(tmp_path: Path, home: Home) -> None:
    assert Settings.load(home) == Settings()
    assert Settings.load(Home(tmp_path / "nothing")) == Settings()
    assert Settings.load(with_file(home, "# nothing here\n")) == Settings()


def test_the_file_overrides_defaults_and_flags_override_the_file(home: Home) -> None:
    with_file(
        home,
        """
        listen = ["/ip4/127.0.0.1/tcp/0"]
        join = []
        mdns = false
        max_pending = 7
        """,
    )
    of_file = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False, max_pending=7)
    assert Settings.load(home) == of_file
    assert Settings.load(home, listen=None, mdns=None, max_pending=None) == of_file, "None: no such flag"
    flagged = Settings.load(home, listen=("/ip6/::1/tcp/0",), mdns=True, max_uploads=3)
    assert flagged == Settings(
        listen=("/ip6/::1/tcp/0",), join=(), mdns=True, max_pending=7, max_uploads=3
    )  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_every_key_is_taken_from_the_file(name: str, home: Home) -> None:
    setting = SETTINGS[name]
    sample = other(setting.kind, setting.default)
    found = Settings.load(with_file(home, f"{setting.name} = {sample.toml}\n"))
    assert found == replace(Settings(), **{setting.name: sample.parsed}) != Settings()
    if setting.name in POLICY:
        assert found.policy == replace(Policy(), **{setting.name: sample.parsed}) != Policy()
    else:
        assert found.policy == Policy()


def test_the_sample_settings_are_those_of_the_table() -> None:
    written = SAMPLE.read_text()
    assert written == sample(), "`python -m tests.sample_settings` writes it anew"
    assert Settings().merged(tomllib.loads(written), "the sample") == Settings()
    assert set(tomllib.loads(written)) == set(SETTINGS)


def test_every_setting_has_whole_sentences() -> None:
    for name, setting in SETTINGS.items():
        for text in (setting.spec.meaning, setting.option_help):
            assert text[0].isupper(), f"{name}: {text}"
            assert text.endswith((".", "]")), f"{name}: {text}"


def test_where_to_listen(home: Home) -> None:
    assert Settings().listen_addrs(home) == ("/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/0")
    home.remember_port(4001)
    assert Settings().listen_addrs(home) == ("/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"), (
        "tickets stay valid"
    )
    assert Settings(listen=("/a", "/b")).listen_addrs(home) == ("/a", "/b")


# ── what cannot be used ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("max_pending", "0", "a whole number above 0"),
        ("max_pending", "-1", "a whole number above 0"),
        ("max_pending", "1.5", "a whole number above 0"),
        ("max_pending", "true", "a whole number above 0"),
        ("max_uploads", '"many"', "a whole number above 0"),
        ("max_uploads", "[]", "a whole number above 0"),
        ("mdns", "1", "true or false"),
        ("mdns", '"no"', "true or false"),
        ("listen", '"/ip4/127.0.0.1/tcp/0"', "a list of multiaddrs"),
        ("relay", '"/ip4/192.0.2.1/tcp/1"', "a list of multiaddrs"),
        ("serve_relay", "1", "true or false"),
        ("swarm_key", "[]", "a path"),
        ("join", "{}", "a list of multiaddrs"),
        ("join", "2024-01-01", "a list of multiaddrs"),
        ("upload_limit", '"fast"', "a rate such as 2MB/s"),
        ("upload_limit", "-1", "a rate such as 2MB/s"),
        ("upload_chunks", "1.5", "a whole number from 0"),
        ("quota", "true", "a size such as 10GiB"),
        ("deny", '"12D3"', "a list of peer ids"),
    ],
)
def test_an_invalid_value_is_reported_with_file_and_key(
    home: Home, key: str, value: str, expected: str
) -> None:
    with_file(home, f"{key} = {value}\n")
    with pytest.raises(SettingsError, match=rf": {key} is .+, expected {expected}$") as refused:
        Settings.load(home)
    assert str(refused.value).startswith(f"{home.settings}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("listen = [4001]", "listen: 4001 is not a multiaddr"),
        (f'allow = ["{PEER}", "nobody"]', "allow: 'nobody' is not a peer id"),
        ("deny = [5]", "deny: 5 is not a peer id"),
    ],
)
def test_an_invalid_item_of_a_list_is_named(line: str, sentence: str, home: Home) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(with_file(home, line))
    assert str(refused.value) == f"{home.settings}: {sentence}"


def test_an_invalid_option_is_named_as_it_is_typed(home: Home) -> None:
    with_file(home, "max_pending = 5\n")
    with pytest.raises(SettingsError, match=r"^--max-pending is 0, expected a whole number above 0$"):
        Settings.load(home, max_pending=0)
    with pytest.raises(SettingsError, match=r"^--allow: 'bogus' is not a peer id$"):
        Settings.load(home, allow=("bogus",))


def test_a_change_of_the_policy() -> None:
    change = parse_change({"upload_limit": "0", "allow": ("none",), "deny": (PEER, PEER), "max_uploads": 3})
    assert change.given() == {"upload_limit": 0, "allow": (), "deny": (PEER,), "max_uploads": 3}
    with pytest.raises(SettingsError, match=r"^--deny: 'none' is not a peer id$"):
        parse_change({"deny": ("none", PEER)})


def test_an_unknown_key(home: Home) -> None:
    with_file(home, "max_pendign = 5\n")
    with pytest.raises(SettingsError) as refused:
        Settings.load(home)
    known = ", ".join(sorted(SETTINGS))
    close = "; did you mean max_pending?"
    assert str(refused.value) == f"{home.settings}: 'max_pendign' is not a setting{close} (there are {known})"


@pytest.mark.parametrize(
    "text", [b"max_pending = ", b"= 1", b"\xff\xfe", b"[listen\n", b"mdns = no\n", b"a = 1\na = 2\n"]
)
def test_a_file_that_is_not_toml(home: Home, text: bytes) -> None:
    home.settings.write_bytes(text)
    with pytest.raises(SettingsError) as refused:
        Settings.load(home)
    assert str(refused.value).startswith(f"{home.settings} is not TOML: ")


def test_a_file_that_cannot_be_read(home: Home) -> None:
    with_file(home, "max_pending = 5\n").settings.chmod(0)
    with without_rights(), pytest.raises(SettingsError) as refused:
        Settings.load(home)
    assert str(refused.value) == f"{home.settings} cannot be read: permission denied"
    home.settings.unlink()
    home.settings.mkdir()
    with pytest.raises(SettingsError, match=r"settings\.toml cannot be read: is a directory"):
        Settings.load(home)


def test_a_home_that_is_a_file_is_reported_when_it_is_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Settings.load(Home(tmp_path / "file")) == Settings()


def test_the_dashboards_keys_are_a_table_of_text(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.write_text('theme = "nord"\nascii = true\n[keys]\nwant = "ctrl+w"\n')
    settings = Settings.load(home)
    assert (settings.theme, settings.ascii, settings.keys) == ("nord", True, {"want": "ctrl+w"})
    for text, sentence in (
        ("theme = 5", "theme is 5, expected the name of a theme"),
        ("ascii = 1", "ascii is 1, expected true or false"),
        ("keys = 5", "keys is 5, expected a table of text"),
        ("[keys]\nwant = 5", "keys.want is 5, expected text"),
    ):
        home.settings.write_text(text)
        with pytest.raises(SettingsError, match=re.escape(sentence)):
            Settings.load(home)


def test_a_name_that_nobody_could_give_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings.write_text('suggest_name = "  ada   two "')
    assert Settings.load(home).suggest_name == "ada two"
    assert Settings.load(home, suggest_name="").suggest_name == ""
    for value in ('"x\\u202e"', f'"{"x" * 25}"', "5", '"-x"'):
        home.settings.write_text(f"suggest_name = {value}")
        with pytest.raises(SettingsError, match="expected a name of at most 24 visible characters"):
            Settings.load(home)


def test_a_table_of_a_switch_is_settings() -> None:
    found = Settings().merged({"bitswap": {"enabled": True, "peers": 5}}, "here")
    assert (found.bitswap, found.bitswap_peers) == (True, 5)
    assert Settings().merged({"bitswap": True}, "here").bitswap
    with pytest.raises(SettingsError, match="here: 'bitswap_colour' is not a setting"):
        Settings().merged({"bitswap": {"colour": "red"}}, "here")


def test_a_table_tells_what_is_kept_of_the_series(tmp_path: Path) -> None:
    found = Settings().merged({"series": {"keep": "30d", "archive": "old"}}, "here")
    assert (found.keep_rule, Settings().keep_rule.all) == (KeepRule(seconds=30 * 86_400.0), True)
    assert found.archive_folder(Home(tmp_path)) == tmp_path / "old"
    assert Settings().merged({"series": {"keep": "1.5 GB"}}, "here").keep_rule == KeepRule(size=1_500_000_000)
    for bad in ("soon", "0d", 5, "-3d", "30"):
        with pytest.raises(SettingsError, match=r"here: series_keep is .*, expected all, an age such as 30d"):
            Settings().merged({"series": {"keep": bad}}, "here")
