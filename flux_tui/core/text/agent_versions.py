"""The agent version: one line of text by which a libp2p node tells what program it runs. Pure.

    flux-tui/0.2.0           a node that suggests no name for itself
    flux-tui/0.2.0 (ada)     a node that suggests to be called ada

libp2p's identify carries it to every node that connects (libp2p's specifications, identify: `agentVersion`). Nobody
verifies it: a peer may write whatever it likes. So a name in it is a suggestion. It is read only if it is exactly of
this form and could be given by a person, and it is never shown in place of a peer's id.
"""

import re
import unicodedata

from flux_tui.core.text.names import MAX_NAME, checked_name

AGENT = "flux-tui"
MAX_AGENT_VERSION = 128
"""Characters of an agent version that are read. A longer one suggests no name."""
_SUGGESTS = rf"{AGENT}/[0-9A-Za-z.+-]{{1,32}} \((?P<name>.{{1,{MAX_NAME}}})\)"


def agent_version(version: str, name: str = "") -> str:
    """Return the agent version of a node. `version`: of this program. `name`: as in `checked_suggestion`, or empty."""
    return f"{AGENT}/{version} ({name})" if name else f"{AGENT}/{version}"


def suggested_name(told: str) -> str:
    """Return the name that a peer suggests for itself by its agent version; empty: none that can be used."""
    if len(told) > MAX_AGENT_VERSION or (found := re.fullmatch(_SUGGESTS, told)) is None:
        return ""
    try:
        return found["name"] if checked_suggestion(found["name"]) == found["name"] else ""
    except ValueError:
        return ""


def checked_suggestion(text: str) -> str:
    """Check a name that a node suggests for itself, and return it without extra spaces.

    The name must obey the rules for names that a person gives. It may not have characters that only look like others:
    wide, ringed or joined forms (those that Unicode's NFKC replaces). Otherwise raises ValueError with one sentence.
    """
    name = checked_name(text)
    if unicodedata.normalize("NFKC", name) != name:
        raise ValueError(f"{name} has characters that look like others: choose another name")
    return name
