"""Parse and complete the command line behind `:`, which uses the words of the shell command.

It is pure, except that it looks at the file system for typed paths.

    want CID|TICKET|NAME…    get TICKET… [-o PATH]    add PATH…    cancel|retry [CID|NAME…]
    hold CID|TICKET|NAME [--replicas N]    release CID|NAME…    join ADDRESS…    limit --upload-limit RATE …    stop
    filter TEXT    goto MOMENT    theme NAME    speed N    sort COLUMN    panel NAME
    and every action of the key table by its name
"""

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flux_tui.config import SettingsError, parse_change
from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.content.ticket import PREFIX, Ticket, is_ticket_like, parse_ticket
from flux_tui.core.ids import BadIdError, Cid, PeerId, is_text, parse_peer_id
from flux_tui.core.series.events import EVENT_KINDS, REASONS
from flux_tui.core.series.policy import POLICY
from flux_tui.core.series.state import State
from flux_tui.core.text.quantities import counted
from flux_tui.core.wire.messages import MAX_REPLICAS
from flux_tui.paths import PathError, path_of_url, stands_at, to_share, typed_path
from flux_tui.ui.keys import ACTIONS, action_named
from flux_tui.ui.series.filter import FIELDS
from flux_tui.ui.typed.typed_wants import named, names, object_words, read_wants

OPTIONS = ("--replicas",)
"""Options that are completed with a space after them."""
_NUMBER = re.compile(r"[0-9]{1,9}")
_SPECIAL = re.compile(r"[^\w@%+=:,./~\-]")
"""Characters that need a backslash in a shell."""


class LineError(ValueError):
    """The error in a line, as one sentence."""


class Outcome(NamedTuple):
    """What a line does: it pushes commands, runs an action, or changes a setting of the dashboard."""

    commands: Sequence[Command] = ()
    done: str = ""
    """The message to show after the commands are pushed."""
    action: str = ""
    """The name of the action to run."""
    setting: str = ""
    """`filter`, `goto`, `theme`, `speed`, `sort` or `panel`: the setting that takes `argument`."""
    argument: str = ""


class Context(NamedTuple):
    """Everything that a line may name."""

    state: State
    folder: Path | None
    """The folder for relative paths. None: the folder is gone."""
    mark: Callable[[], str]
    themes: Sequence[str] = ()
    panels: Sequence[str] = ()
    columns: Sequence[str] = ()
    called: Mapping[PeerId, str] = {}
    """Names of peers."""


class Word(NamedTuple):
    """A command: the first word of a line."""

    usage: str
    help: str
    run: Callable[[list[str], Context], Outcome]
    complete: Callable[[str, Context], list[str]]
    """Returns completions of the last word, as whole words."""
    whole: bool = False
    """Whether the rest of the line is one argument with its spaces."""


def read_line(text: str, context: Context) -> Outcome:
    """Return what a line does. Raise LineError."""
    name, _, rest = text.strip().removeprefix(":").strip().partition(" ")
    if not name:
        raise LineError("type a command; tab shows which there are")
    word = WORDS.get(name)
    if word is not None:
        if word.whole:
            return word.run([rest.strip()] if rest.strip() else [], context)
        try:
            return word.run(_arguments(rest), context)
        except PathError as error:
            raise LineError(str(error)) from None
    action = action_named(name)
    if action is not None and not rest.strip():
        return Outcome(action=action.name)
    if action is not None:
        raise LineError(f"{name} takes nothing after it")
    close = [known for known in all_words() if known.startswith(name[:2])]
    hint = f" (did you mean {' or '.join(close[:3])}?)" if close else "; tab shows which there are"
    raise LineError(f"{name} is no command{hint}")


def complete_line(text: str, context: Context) -> list[str]:
    """Return whole lines that complete the typed text."""
    name, space, rest = text.lstrip().partition(" ")
    if not space:
        return [f"{word} " if word in WORDS else word for word in all_words() if word.startswith(name)]
    word = WORDS.get(name)
    if word is None:
        return []
    if word.whole:
        before, last = _split_last(rest) if name == "filter" else ("", rest)
        return [f"{name} {before}{found}" for found in word.complete(last, context)]
    before, last = last_argument(rest)
    return [f"{name} {before}{quoted(found)}" for found in word.complete(last, context)]


def all_words() -> list[str]:
    """Return every word that a line can begin with."""
    return sorted({*WORDS, *(action.name for action in ACTIONS)})


def _arguments(rest: str) -> list[str]:
    """Split a line into words as a shell does. Raise LineError."""
    try:
        return shlex.split(rest)
    except ValueError:
        if PREFIX in rest.lower():
            return rest.split()  # the quotation mark was copied together with the ticket
        raise LineError("a quotation mark is open") from None


def last_argument(rest: str) -> tuple[str, str]:
    """Split a line into the part before its last word and that word, without quotation marks and backslashes."""
    start, word, quote, at = 0, "", "", 0
    while at < len(rest):
        one = rest[at]
        if one == "\\" and quote != "'" and at + 1 < len(rest):
            at += 1
            word += rest[at]
        elif one == quote:
            quote = ""
        elif quote:
            word += one
        elif one in "'\"":
            quote = one
        elif one.isspace():
            start, word = at + 1, ""
        else:
            word += one
        at += 1
    return rest[:start], word


def quoted(word: str) -> str:
    """Quote a word for the line: put a backslash before each special character.

    The space after an option stays.
    """
    return word if word.rstrip(" ") in OPTIONS else _SPECIAL.sub(r"\\\g<0>", word)


def _split_last(rest: str) -> tuple[str, str]:
    head, space, last = rest.rpartition(" ")
    return head + space, last


# ── what the words do ───────────────────────────────────────────────────────────────────────────


def _some(arguments: list[str], usage: str) -> None:
    if not arguments:
        raise LineError(f"usage: {usage}")


def _want(arguments: list[str], context: Context) -> Outcome:
    if not arguments:
        return Outcome(action="want")
    found = read_wants(arguments, context.state, context.folder, context.mark)
    if found.errors:
        raise LineError(found.errors[0])
    wants = [
        cmd.Want(command.root, command.by) if isinstance(command, cmd.Get) else command
        for command in found.commands
    ]
    return Outcome(wants, f"pushed {counted(len(wants), 'want')}")


def _get(arguments: list[str], context: Context) -> Outcome:
    into = None
    if "-o" in arguments:
        index = arguments.index("-o")
        if index + 1 >= len(arguments):
            raise LineError("-o wants a path")
        into = typed_path(arguments[index + 1], context.folder)
        arguments = arguments[:index] + arguments[index + 2 :]
    _some(arguments, WORDS["get"].usage)
    if into is not None and len(object_words(arguments, named(context.state))) > 1:
        raise LineError("-o is for one ticket")
    if into is not None and stands_at(into, follow=False):
        raise LineError(f"{into} exists already: choose another name")
    if into is not None and not is_text(str(into)):
        raise LineError(f"{into} is not UTF-8: choose another name")
    found = read_wants(arguments, context.state, context.folder, context.mark, into=into)
    if found.errors:
        raise LineError(found.errors[0])
    return Outcome(found.commands, f"pushed {counted(len(found.commands), 'want')}")


def _add(arguments: list[str], context: Context) -> Outcome:
    if not arguments:
        return Outcome(action="add")
    paths = [path for argument in arguments for path in _paths_to_share(argument, context)]
    what = paths[0].name if len(paths) == 1 else f"{len(paths)} paths"
    return Outcome([cmd.Add(str(path), context.mark()) for path in paths], f"adding {what}")


def _paths_to_share(argument: str, context: Context) -> list[Path]:
    """Return the paths for one argument of `add`. Raise PathError or LineError."""
    path = typed_path(path_of_url(argument), context.folder)
    if is_ticket_like(argument) and not stands_at(path, too_long=False):
        raise LineError("that is a ticket, not a path: `get` takes it")
    return [to_share(path)]


def _objects(arguments: list[str], context: Context) -> list[Ticket]:
    """Resolve arguments to objects: names known in the series, CIDs, tickets. Raise LineError."""
    known = named(context.state)
    try:
        words = object_words(arguments, known)
        return [Ticket(known[word]) if word in known else parse_ticket(word) for word in words]
    except BadIdError as error:
        raise LineError(str(error)) from None


def _cids(arguments: list[str], context: Context) -> tuple[Cid, ...]:
    return tuple(ticket.root for ticket in _objects(arguments, context))


def _cancel(arguments: list[str], context: Context) -> Outcome:
    if not arguments:
        return Outcome(action="cancel")
    cids = _cids(arguments, context)
    return Outcome([cmd.Cancel(cids, context.mark())], f"cancelled {counted(len(cids), 'want')}")


def _retry(arguments: list[str], context: Context) -> Outcome:
    if not arguments:
        return Outcome(action="retry")
    cids = _cids(arguments, context)
    return Outcome([cmd.Retry(cids, context.mark())], f"pushed {counted(len(cids), 'want')} again")


def _hold(arguments: list[str], context: Context) -> Outcome:
    replicas = 1
    if "--replicas" in arguments:
        index = arguments.index("--replicas")
        number = arguments[index + 1] if index + 1 < len(arguments) else ""
        if not _NUMBER.fullmatch(number) or not 1 <= int(number) <= MAX_REPLICAS:
            raise LineError(f"--replicas wants a number from 1 to {MAX_REPLICAS}")
        replicas = int(number)
        arguments = arguments[:index] + arguments[index + 2 :]
    objects = _objects(arguments, context) if arguments else []
    if len(objects) != 1:
        raise LineError(f"usage: {WORDS['hold'].usage}")
    (ticket,) = objects
    found = context.state.objects.get(ticket.root)
    name = ticket.name or (found.name if found is not None else None)
    size = ticket.size if ticket.size is not None else found.size if found is not None else None
    command = cmd.Hold(ticket.root, replicas, name, size, ticket.addrs, context.mark())
    return Outcome([command], f"asked for {counted(replicas, 'replica')} of {name or 'it'}")


def _remove(arguments: list[str], context: Context) -> Outcome:
    if not arguments:
        return Outcome(action="remove")
    cids = _cids(arguments, context)
    return Outcome(
        [cmd.Remove(cids, context.mark())], f"told the node to stop sharing {counted(len(cids), 'object')}"
    )


def _release(arguments: list[str], context: Context) -> Outcome:
    _some(arguments, WORDS["release"].usage)
    cids = _cids(arguments, context)
    return Outcome([cmd.Release(cids, context.mark())], f"released {counted(len(cids), 'object')}")


def _join(arguments: list[str], context: Context) -> Outcome:
    _some(arguments, WORDS["join"].usage)
    for address in arguments:
        base, separator, peer = address.rpartition("/p2p/")
        if not separator or not base.startswith("/"):
            raise LineError(
                f"{address} is not the address of a peer: expected /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID"
            )
        try:
            parse_peer_id(peer)
        except BadIdError as error:
            raise LineError(str(error)) from None
    return Outcome([cmd.Join(address, context.mark()) for address in arguments], "pushed a join")


LIMITS = {option: setting for setting in POLICY.values() if (option := setting.option)}
"""The options of `limit`."""


def _limit(arguments: list[str], context: Context) -> Outcome:
    _some(arguments, WORDS["limit"].usage)
    if len(arguments) % 2:
        raise LineError(f"usage: {WORDS['limit'].usage}")
    given: dict[str, Any] = {}
    for option, value in zip(arguments[::2], arguments[1::2], strict=True):
        setting = LIMITS.get(option)
        if setting is None:
            raise LineError(f"{option} is no limit ({', '.join(LIMITS)})")
        if setting.kind.is_list:
            given[setting.name] = (*given.get(setting.name, ()), value)
        else:
            number = setting.kind.is_number and _NUMBER.fullmatch(value)
            given[setting.name] = int(value) if number else value
    try:
        change = parse_change(given)
    except SettingsError as error:
        raise LineError(str(error)) from None
    return Outcome([cmd.Configure(change, context.mark())], "pushed the change")


def _limits(last: str, context: Context) -> list[str]:
    found = [option for option in LIMITS if option.startswith(last)]
    return found + [peer for peer in context.state.peers if last and peer.startswith(last)]


def _stop(arguments: list[str], context: Context) -> Outcome:
    if arguments:
        raise LineError("stop takes nothing after it")
    return Outcome([cmd.Stop(context.mark())], "told the node to stop")


def _own(setting: str, *, optional: bool = False) -> Callable[[list[str], Context], Outcome]:
    def run(arguments: list[str], context: Context) -> Outcome:
        if not optional:
            _some(arguments, WORDS[setting].usage)
        return Outcome(setting=setting, argument=arguments[0] if arguments else "")

    return run


# ── how they go on ──────────────────────────────────────────────────────────────────────────────


def _among(choices: Callable[[Context], Sequence[str]]) -> Callable[[str, Context], list[str]]:
    return lambda last, context: [choice for choice in choices(context) if choice.startswith(last)]


def paths(last: str, context: Context) -> list[str]:
    """Return paths that begin with the typed text.

    Folders end in a slash. Hidden files are included only if a dot was typed.
    """
    try:
        at = typed_path(last or "./", context.folder)
        folder, start = (at, "") if not last or last.endswith("/") else (at.parent, at.name)
        with os.scandir(folder) as entries:
            children = sorted(
                (entry.name, _is_folder(entry)) for entry in entries if entry.name.startswith(start)
            )
    except (OSError, ValueError):
        return []
    head = last[: len(last) - len(start)] if start else last
    return [
        head + name + ("/" if is_folder else "")
        for name, is_folder in children
        if start.startswith(".") or not name.startswith(".")
    ]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to something that this user may not read


def _filters(last: str, context: Context) -> list[str]:
    sign = "!" if last.startswith("!") else ""
    word = last.removeprefix("!")
    field, colon, value = word.partition(":")
    if not colon:
        return [f"{sign}{name}:" for name in FIELDS if name.startswith(word)]
    choices: Sequence[str] = ()
    match field:
        case "kind":
            choices = EVENT_KINDS
        case "reason":
            choices = REASONS
        case "peer":
            choices = [context.called.get(peer, peer) for peer in context.state.peers]
        case "cid":
            choices = list(context.state.objects)
    return [f"{sign}{field}:{choice}" for choice in choices if choice.startswith(value)]


def _pending(context: Context) -> list[str]:
    return _called(context, context.state.pending)


def _called(context: Context, cids: Iterable[Cid]) -> list[str]:
    objects = context.state.objects
    return [
        found.name if (found := objects.get(cid)) and found.name and " " not in found.name else cid
        for cid in cids
    ]


WORDS: dict[str, Word] = {
    "want": Word("want CID|TICKET|NAME…", "Push wants into the store", _want,
                 _among(lambda context: names(context.state))),
    "get": Word("get TICKET… [-o PATH]", "Want files into this folder, or to PATH", _get,
                lambda last, context: [*_among(lambda c: names(c.state))(last, context), *paths(last, context)]),
    "add": Word("add PATH…", "Share files or folders", _add, paths),
    "cancel": Word("cancel [CID|NAME…]", "Cancel these; without any, what is selected", _cancel,
                   _among(_pending)),
    "retry": Word("retry [CID|NAME…]", "Push these again; without any, what is selected", _retry,
                  _among(_pending)),
    "hold": Word("hold CID|TICKET|NAME [--replicas N]", "Ask others to keep replicas of an object", _hold,
                 lambda last, context: [*_among(lambda c: names(c.state))(last, context),
                                        *(["--replicas "] if last and "--replicas".startswith(last) else [])]),
    "release": Word("release CID|NAME…", "Others need not keep these any more", _release,
                    _among(lambda context: _called(context, context.state.holds))),
    "rm": Word("rm [CID|NAME…]", "Stop sharing these; your files stay as they are", _remove,
               _among(lambda context: _called(context, context.state.objects))),
    "join": Word("join ADDRESS…", "Connect to peers, by the addresses that `flux-tui state` prints there", _join,
                 lambda last, context: []),
    "limit": Word("limit --upload-limit RATE …", "Change what others may have, until the node stops", _limit,
                  _limits),
    "stop": Word("stop", "Stop the node in order", _stop, lambda last, context: []),
    "filter": Word("filter TEXT", "Filter the focused panel; nothing: all of it", _own("filter", optional=True),
                   _filters, True),
    "goto": Word("goto MOMENT", "Go to 12:01:03, -5m, #1234, start or live", _own("goto"),
                 _among(lambda context: ("start", "live", "-1m", "-10s", "+10s", "+1m")), True),
    "theme": Word("theme NAME", "Other colours", _own("theme"), _among(lambda context: context.themes)),
    "speed": Word("speed 1|10|100", "Play that many times as fast", _own("speed"),
                  _among(lambda context: ("1", "10", "100"))),
    "sort": Word("sort COLUMN", "Sort the table that has focus; nothing: as they came",
                 _own("sort", optional=True), _among(lambda context: context.columns)),
    "panel": Word("panel NAME", "Go to a panel", _own("panel"), _among(lambda context: context.panels)),
}  # fmt: skip
"""The commands that take arguments. Without arguments, `cancel` and the like run the action of that name."""
