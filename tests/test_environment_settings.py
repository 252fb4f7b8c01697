"""Every setting can be set by a variable of the environment, between the file and the options."""

from pathlib import Path

import pytest

from flux_tui.config import SETTINGS, Settings, SettingsError
from flux_tui.core.series.settings_table import Kind
from flux_tui.environment_settings import OWN, found_in, misspelt_in, variable_of
from flux_tui.home import Home
from tests.support.setting_values import other


def text_of(kind: Kind, toml: str) -> str:
    """Return a value as it is written in a variable: without TOML's quotation marks and brackets."""
    return toml if kind is Kind.KEYS else toml.strip('[]"')


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in OWN])
def test_every_setting_has_its_variable(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = SETTINGS[name]
    sample = other(setting.kind, setting.default)
    monkeypatch.setenv(variable_of(name), text_of(setting.kind, sample.toml))
    assert getattr(Settings.load(Home(tmp_path)), name) == sample.parsed


def test_it_stands_between_the_file_and_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text("max_pending = 5\nmin_peers = 5\nmdns = false\n")
    monkeypatch.setenv("FLUX_TUI_MAX_PENDING", "6")
    monkeypatch.setenv("FLUX_TUI_MIN_PEERS", "")
    monkeypatch.setenv("FLUX_TUI_MDNS", "ON")
    found = Settings.load(Home(tmp_path))
    assert (found.max_pending, found.min_peers, found.mdns) == (6, 5, True), "an empty one counts as not set"
    assert Settings.load(Home(tmp_path), max_pending=7).max_pending == 7


def test_a_list_has_spaces_or_commas() -> None:
    assert found_in({"FLUX_TUI_JOIN": " /a, /b /c\n"}, SETTINGS) == {"join": ["/a", "/b", "/c"]}
    assert found_in({"FLUX_TUI_HOME": "/x", "FLUX_TUI_UNKNOWN": "1", "FLUX_TUI_ASCII": "?"}, SETTINGS) == {}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("FLUX_TUI_MDNS", "maybe"), ("FLUX_TUI_MIN_PEERS", "-1"), ("FLUX_TUI_MIN_PEERS", "٣"),
        ("FLUX_TUI_UPLOAD_LIMIT", "fast"), ("FLUX_TUI_DENY", "me"), ("FLUX_TUI_KEYS", "{"),
        ("FLUX_TUI_MAX_PENDING", "9" * 5000),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_sentence(
    variable: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as error:
        Settings.load(Home(tmp_path))
    assert variable.removeprefix("FLUX_TUI_").lower() in str(error.value)
    assert "environment" in str(error.value)


def test_a_variable_whose_name_is_nearly_a_settings_is_found() -> None:
    around = {"FLUX_TUI_HOME": "/x", "FLUX_TUI_UPLOAD_LIMIT": "1", "FLUX_TUI_MDNSS": "", "UPLOAD_LIMT": "1"}
    around |= {
        "FLUX_TUI_SERVICE_HOST": "10.0.0.1",
        "FLUX_TUI_PORT_9464_TCP": "x",
        "FLUX_TUI_PORT": "tcp://10.0.0.1:1",
    }
    assert misspelt_in(around, SETTINGS) is None
    sentence = misspelt_in(around | {"FLUX_TUI_UPLOAD_LIMT": "1"}, SETTINGS)
    assert sentence is not None
    assert sentence.startswith(
        "the variable FLUX_TUI_UPLOAD_LIMT is not read; did you mean FLUX_TUI_UPLOAD_LIMIT"
    )
