"""The options of a node: a node that a command starts gets the options of that command."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from flux_tui.cli import run
from flux_tui.cli.arguments.flags_for_node import apply_to_running, node_flags
from flux_tui.cli.arguments.options import LIMITS, OPTIONS, STARTS, load_settings, node_options
from flux_tui.cli.main import COMMANDS, cli
from flux_tui.config import SETTINGS, Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.home import Home, HomeError
from tests.bench.nodes import LISTEN, flux
from tests.core.samples import PEER
from tests.support.setting_values import other


def parsed(*arguments: str) -> dict[str, Any]:
    """Return the options as a command gets them."""

    @click.command()
    @node_options
    def command(**flags: Any) -> dict[str, Any]:
        return flags

    found: dict[str, Any] = command.main(list(arguments), standalone_mode=False)
    return found


def typed(names: Iterable[str]) -> list[str]:
    """Return the options of these settings, each with a value that is not its default."""
    found: list[str] = []
    for name in names:
        sample = other(SETTINGS[name].kind, SETTINGS[name].default)
        found += [OPTIONS[name], sample.typed] if sample.typed else [OPTIONS[name]]
    return found


def values(names: Iterable[str]) -> dict[str, Any]:
    """Return what the settings are then."""
    return {name: other(SETTINGS[name].kind, SETTINGS[name].default).parsed for name in names}


def test_every_option_reaches_the_node(tmp_path: Path) -> None:
    given, home = parsed(*typed(OPTIONS)), Home(tmp_path / "home")
    assert all(value not in (None, (), False) for value in given.values()), "all of them"
    expected = replace(Settings(), **values(OPTIONS))
    assert load_settings(home, **given) == expected
    assert load_settings(home, **parsed(*node_flags(given))) == expected


def test_a_list_has_its_option_several_times(tmp_path: Path) -> None:
    given = parsed("--listen", "/a", "--relay", "/r", "--listen", "/b")
    assert load_settings(Home(tmp_path), **given) == Settings(listen=("/a", "/b"), relay=("/r",))
    assert node_flags(given) == ["--listen", "/a", "--listen", "/b", "--relay", "/r"]


def test_a_path_is_that_of_the_folder_where_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = parsed("--swarm-key", "swarm.key")
    monkeypatch.chdir("/")
    found = load_settings(Home(tmp_path), **parsed(*node_flags(given)))
    assert found.swarm_key == str(tmp_path / "swarm.key")


def test_every_limit_reaches_a_node_that_runs(tmp_path: Path, pushed: list[Any]) -> None:
    assert LIMITS, "there are some"
    apply_to_running(Home(tmp_path), typed(LIMITS))
    assert pushed == [cmd.Configure(PolicyChange(**values(LIMITS)))]


def test_every_other_option_is_fixed_at_the_start_or_has_a_command(tmp_path: Path, pushed: list[Any]) -> None:
    home = Home(tmp_path)
    home.remember_flags([])
    for name in STARTS:
        if SETTINGS[name].spec.live:
            apply_to_running(home, typed([name]))
            assert pushed, f"no command tells the running node of {OPTIONS[name]}"
        else:
            with pytest.raises(HomeError, match=f"runs already, and without {' '.join(typed([name]))}: "):
                apply_to_running(home, typed([name]))


def test_no_option_changes_nothing(tmp_path: Path) -> None:
    assert node_flags(parsed()) == []
    assert load_settings(Home(tmp_path), **parsed()) == Settings()


# ── before a command, and after it ──────────────────────────────────────────────────────────────

VALUES: dict[str, tuple[str, ...]] = {
    option: (sample.typed,) if (sample := other(SETTINGS[name].kind, SETTINGS[name].default)).typed else ()
    for name, option in OPTIONS.items()
} | {
    "--home": ("/a home",), "--mask": (), "--listen": ("/a", "/b"), "--join": ("/c", "-d"), "--deny": (PEER, "none")
}  # fmt: skip
"""The options before a command, each with values that it takes."""
NODE = frozenset(VALUES) - {"--mask"}
TAKES: dict[str, frozenset[str]] = {
    "node": NODE, "doctor": NODE, "get": NODE, "want": NODE, "hold": NODE, "join": NODE, "ls": NODE, "cat": NODE,
    "inspect": NODE, "export": NODE, "gateway": NODE, "web": NODE | {"--mask"},
    "limit": frozenset(LIMITS.values()) | {"--home"}, "replay": frozenset({"--home", "--mask"}),
    "demo": frozenset(), "completion": frozenset(),
}  # fmt: skip
"""The options that each command takes. All other commands take --home alone."""
NEEDS = {"get": ["x"], "want": ["x"], "hold": ["x"], "join": ["x"], "add": ["x"], "release": ["x"], "cancel": ["x"],
         "rm": ["x"], "replay": ["x"], "export": ["x"], "completion": ["bash"], "ls": ["x"],
         "cat": ["x"], "inspect": ["x"], "leave": ["x"], "custom": ["x"]}  # fmt: skip
"""The required arguments of each command."""


def called(monkeypatch: pytest.MonkeyPatch, name: str, before: list[str], after: list[str]) -> dict[str, Any]:
    """Return the parameters that a command is called with. Raise click.UsageError."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(command, "callback", lambda **values: found.append(values))
    cli.main([*before, name, *after, *NEEDS.get(name, [])], prog_name="flux-tui", standalone_mode=False)
    (values,) = found
    return values


def test_every_option_before_a_command_is_known_here() -> None:
    everywhere = {"--version", "-q", "--quiet", "--no-color"}
    own = {option for parameter in cli.params for option in parameter.opts} - everywhere
    assert own == set(VALUES)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_an_option_before_a_command_works_as_after_it_or_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    without = called(monkeypatch, name, [], [])
    for option, values in VALUES.items():
        given = [f"{option}={value}" for value in values] or [option]
        if option in TAKES.get(name, frozenset({"--home"})):
            after = called(monkeypatch, name, [], given)
            assert after != without
            assert called(monkeypatch, name, given, []) == after
            if len(given) > 1:  # none of them is lost if they are in both places
                assert called(monkeypatch, name, given[:1], given[1:]) == after
            if len(values) == 1 and after[option[2:].replace("-", "_")] != values:
                other = [f"{option}=/x"] if option in ("--home", "--swarm-key") else given
                assert called(monkeypatch, name, other, given) == after, "the nearest counts"
        else:
            with pytest.raises(click.UsageError) as refused:
                called(monkeypatch, name, given, [])
            assert refused.value.message.startswith(f"{option} is not an option of `{name}`: it is for ")
            assert refused.value.message.endswith("and the dashboard")
            with pytest.raises(click.UsageError, match="No such option"):
                called(monkeypatch, name, [], given)


def test_web_refuses_node_options_for_a_recording(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--swarm-key", "key", "web", "evening.flux", "--port", "0"]) == 2
    assert "a recording has no node, so it takes no --swarm-key" in capsys.readouterr().err


# ── a node that runs already ────────────────────────────────────────────────────────────────────


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(Home, "push", lambda _, *commands: found.extend(commands))
    return found


STARTED = ["--listen", "/a", "--listen", "/b", "--no-mdns", "--swarm-key", "/key", "--max-pending", "7"]


@pytest.mark.parametrize(
    "flags",
    [
        [],
        STARTED,
        ["--listen", "/b"],
        ["--no-mdns"],
        ["--swarm-key", "/key", "--max-pending", "7"],
        ["--relay", "/r"],
    ],
)
def test_a_flag_that_a_running_node_has_is_accepted(
    flags: list[str], tmp_path: Path, pushed: list[Any]
) -> None:
    home = Home(tmp_path)
    home.remember_flags(STARTED)
    home.settings.write_text('relay = ["/r"]\n')
    apply_to_running(home, flags)
    assert pushed == []


def test_a_swarm_key_is_known_by_its_content(tmp_path: Path, pushed: list[Any]) -> None:
    home, key = Home(tmp_path), tmp_path / "swarm.key"
    for name, text in (("swarm.key", "key"), ("copy", "key"), ("other", "another")):
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    home.remember_flags(["--swarm-key", str(key)])
    for name in ("folder/../swarm.key", "copy"):
        apply_to_running(home, ["--swarm-key", str(tmp_path / name)])
    for name in ("other", "nothing"):
        with pytest.raises(HomeError, match="runs already, and without --swarm-key"):
            apply_to_running(home, ["--swarm-key", str(tmp_path / name)])
    assert pushed == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--swarm-key", "/other"], "--swarm-key /other"),
        (["--listen", "/b", "--listen", "/c"], "--listen /c"),
        (["--serve-relay", "--relay", "/r", "--no-mdns"], "--relay /r, --serve-relay"),
        (["--max-pending", "8", "--upload-limit", "1MB/s"], "--max-pending 8"),
    ],
)
def test_a_flag_that_a_running_node_lacks_is_refused(
    flags: list[str], words: str, tmp_path: Path, pushed: list[Any]
) -> None:
    """A person must not take a public node for a private one."""
    home = Home(tmp_path)
    home.remember_flags(STARTED)
    sentence = f"the node of {tmp_path} runs already, and without {words}: stop it first"
    with pytest.raises(HomeError, match=f"^{re.escape(sentence)} "):
        apply_to_running(home, flags)
    assert pushed == []


def test_options_that_can_change_are_changed_in_a_running_node(tmp_path: Path, pushed: list[Any]) -> None:
    home = Home(tmp_path)
    apply_to_running(home, ["--join", "/c", "--upload-limit", "2MB/s", "--deny", PEER, "--max-uploads", "3"])
    change = PolicyChange(upload_limit=2_000_000, deny=(PeerId(PEER),), max_uploads=3)
    assert pushed == [cmd.Join("/c"), cmd.Configure(change)]
    with pytest.raises(HomeError, match=r"--upload-limit is 'much', expected a rate such as 2MB/s"):
        apply_to_running(home, ["--upload-limit", "much"])


def test_join_takes_its_option_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushed: list[Any]
) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(
        "flux_tui.cli.commands.running_node.ensure_node", lambda _, flags: given.append(flags)
    )
    one, two = (f"/ip4/192.0.2.{number}/tcp/1/p2p/{PEER}" for number in (1, 2))
    assert run(["--join", one, "join", two, "--home", str(tmp_path), "--no-mdns"]) == 0
    assert pushed == [cmd.Join(two), cmd.Join(one)]
    assert given == [["--no-mdns"]]


def test_join_takes_a_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pushed: list[Any]) -> None:
    monkeypatch.setattr("flux_tui.cli.commands.running_node.ensure_node", lambda _, flags: None)
    addrs = tuple(f"/ip4/192.0.2.{number}/tcp/1/p2p/{PEER}" for number in (1, 2))
    ticket = format_ticket(Ticket(raw_cid(b"x"), "x", 1, addrs))
    assert run(["join", ticket, addrs[1], "--home", str(tmp_path), "--no-mdns"]) == 0
    assert pushed == [cmd.Join(addr) for addr in addrs]


def test_a_ticket_without_an_address_joins_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pushed: list[Any]
) -> None:
    ticket = format_ticket(Ticket(raw_cid(b"x"), "x", 1))
    assert run(["join", ticket, "--home", str(tmp_path), "--no-mdns"]) == 1
    assert "that ticket names no address, so there is nobody to connect to" in capsys.readouterr().err
    assert not pushed


def test_a_swarm_key_before_the_command_is_not_lost(tmp_path: Path) -> None:
    """The whole way: a node is started with its key before the command, and another runs without a key."""
    key, home = tmp_path / "swarm.key", tmp_path / "home"
    key.write_text("/key/swarm/psk/1.0.0/\n/base16/\n" + "0" * 64 + "\n")
    cid = raw_cid(b"nobody has this")
    try:
        flux("--swarm-key", str(key), *LISTEN, "want", cid, home=home)
        flags = Home(home).last_flags()
        assert flags == [*LISTEN, "--swarm-key", str(key)]
        flux("want", cid, "--swarm-key", str(key), home=home)
        told = flux("want", cid, "--swarm-key", str(tmp_path / "other"), home=home, check=False)
        assert told.returncode == 1
        assert f"runs already, and without --swarm-key {tmp_path}/other" in told.stderr
    finally:
        if Home(home).running():
            flux("stop", home=home)
