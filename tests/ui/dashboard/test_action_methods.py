"""Every action of the key table does something, and nothing else is in the table of methods."""

from flux_tui.ui.keys import ACTIONS, FORMER_NAMES, NARRATED, Keys, action_named
from tests.ui.conftest import Live


def test_every_action_has_a_method_and_every_method_an_action(live: Live) -> None:
    assert set(live.app._actions) == {action.name for action in (*ACTIONS, *NARRATED)}


def test_former_names_of_actions_still_bind_keys_and_can_be_typed() -> None:
    keys = Keys({"place": "f7", "narrate-hold": "f8"}, narrated=True)
    assert keys.shown(keys.named("next-node")) == "f7"
    assert keys.shown(keys.named("narrate-pause")) == "f8"
    assert not FORMER_NAMES.keys() & {action.name for action in (*ACTIONS, *NARRATED)}
    found = action_named("place")
    assert found is not None
    assert found.name == "next-node"
