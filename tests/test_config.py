"""Settings: the file counts, and an error names the file and the key."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.config import UNITS, Settings, SettingsError, parse_rate, parse_size
from flux_tui.core.ids import PeerId
from flux_tui.core.series.policy import Policy
from flux_tui.home import Home
from tests.support.rights import without_rights

PEER = PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS")
KEYS = [field.name for field in fields(Settings)]
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
    with pytest.raises(
        SettingsError, match=re.escape(repr(text.removesuffix("/s"))) + " is no size: write a"
    ):
        parse_rate(text)
    with pytest.raises(SettingsError, match="is no size"):
        parse_size(text + "/s")


def test_a_negative_number_is_no_size() -> None:
    with pytest.raises(SettingsError, match="-5 is no size: it is negative"):
        parse_size(-5)
    with pytest.raises(SettingsError, match="True"):
        parse_size(True)


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


def test_every_key_is_taken_from_the_file(home: Home) -> None:
    with_file(home, 'listen=["/a"]\njoin=["/b"]\nmdns=false\nlow_priority=false\nmax_pending=1\nmax_uploads=2\n'
              'swarm_key="swarm.key"\nrelay=["/c"]\nserve_relay=true\n'
              f'upload_limit="2MB/s"\nper_peer_limit=5\nkeep_free=9\nupload_chunks=6\nper_peer_chunks=7\nquota="1GiB"\n'
              f'max_object="1MiB"\nallow=["{PEER}"]\ndeny=["{PEER}"]\n'
              'theme="nord"\nascii=true\n[keys]\nwant="f2"\n')  # fmt: skip
    found = Settings.load(home)
    assert all(getattr(found, key) != getattr(Settings(), key) for key in KEYS)
    assert found.policy == Policy(
        upload_limit=2_000_000, per_peer_limit=5, upload_chunks=6, per_peer_chunks=7, max_uploads=2,
        quota=2**30, max_object=2**20, allow=(PEER,), deny=(PEER,),
    )  # fmt: skip


def test_where_to_listen(home: Home) -> None:
    assert Settings().listen_addrs(home) == ("/ip4/0.0.0.0/tcp/0",)
    home.remember_port(4001)
    assert Settings().listen_addrs(home) == ("/ip4/0.0.0.0/tcp/4001",), "tickets stay valid"
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
        ("listen", "[4001]", "a list of multiaddrs"),
        ("join", "{}", "a list of multiaddrs"),
        ("join", "2024-01-01", "a list of multiaddrs"),
        ("upload_limit", '"fast"', "a rate such as 2MB/s"),
        ("upload_limit", "-1", "a rate such as 2MB/s"),
        ("upload_chunks", "1.5", "a whole number from 0"),
        ("quota", "true", "a size such as 10GiB"),
        ("allow", '["nobody"]', "a list of peer ids"),
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


def test_an_invalid_flag_is_reported_as_one_of_the_command_line(home: Home) -> None:
    with_file(home, "max_pending = 5\n")
    with pytest.raises(SettingsError, match=r"^the command line: max_pending is 0, expected a whole number"):
        Settings.load(home, max_pending=0)


def test_an_unknown_key(home: Home) -> None:
    with_file(home, "max_pendign = 5\n")
    with pytest.raises(SettingsError) as refused:
        Settings.load(home)
    known = ", ".join(sorted(KEYS))
    assert str(refused.value) == f"{home.settings}: 'max_pendign' is no setting (there are {known})"


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
