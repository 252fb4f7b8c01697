"""Parses and completes the command line behind `:`. Its commands have the names of those in the shell.

It is pure, except that it looks at the file system for typed paths.

    want CID[/PATH]|TICKET|NAME…    get TICKET|CID/PATH… [-o PATH]    add PATH…    cancel|retry [CID|NAME…]
    hold CID|TICKET|NAME [--replicas N]    release CID|NAME…    join ADDRESS…    leave [PEER…]
    custom KIND [TEXT] [--to PEER]    limit --upload-limit RATE …    stop
    filter TEXT    goto MOMENT    theme NAME    speed N    sort COLUMN    panel NAME    name [PEER] NAME
    and every action of the key table by its name
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flux_tui.config import SettingsError, parse_change
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.object_paths import ObjectPath, parse_object_path
from flux_tui.core.content.ticket import Ticket, addrs_to_join, is_ticket_like
from flux_tui.core.ids import BadIdError, Cid, PeerId, is_text
from flux_tui.core.series.giving_policy import POLICY
from flux_tui.core.text.names import checked_name, is_peer_id
from flux_tui.core.text.quantities import counted
from flux_tui.core.wire.message_limits import MAX_REPLICAS
from flux_tui.path_arguments import PathError, exists_at, path_of_url, to_share, typed_path
from flux_tui.ui.keys import ACTIONS, action_named
from flux_tui.ui.typed.command_line_types import Context, LineError, Outcome, Word
from flux_tui.ui.typed.completions import among, called, filters, paths, pending, suggestion
from flux_tui.ui.typed.part_wanted import PartWanted
from flux_tui.ui.typed.shell_words import arguments_of, last_argument, quoted, split_last
from flux_tui.ui.typed.typed_wants import named, names, object_words, read_wants

_NUMBER = re.compile(r"[0-9]{1,9}")


def read_line(text: str, context: Context) -> Outcome:
    """Parse a command line, and return the commands, action or setting that it asks for. Raise LineError."""
    name, _, rest = text.strip().removeprefix(":").strip().partition(" ")
    if not name:
        raise LineError("type a command; tab shows which there are")
    word = WORDS.get(name)
    if word is not None:
        if word.whole:
            return word.run([rest.strip()] if rest.strip() else [], context)
        try:
            return word.run(arguments_of(rest), context)
        except PathError as error:
            raise LineError(str(error)) from None
    action = action_named(name)
    if action is not None and not rest.strip():
        return Outcome(action=action.name)
    if action is not None:
        raise LineError(f"{name} takes nothing after it")
    close = [known for known in all_words() if known.startswith(name[:2])]
    hint = f" (did you mean {' or '.join(close[:3])}?)" if close else "; tab shows which there are"
    raise LineError(f"{name} is not a command{hint}")


def complete_line(text: str, context: Context) -> list[str]:
    """Return complete command lines that begin with the typed text."""
    name, space, rest = text.lstrip().partition(" ")
    if not space:
        return [f"{word} " if word in WORDS else word for word in all_words() if word.startswith(name)]
    word = WORDS.get(name)
    if word is None:
        return []
    if word.whole:
        before, last = split_last(rest) if name == "filter" else ("", rest)
        return [f"{name} {before}{found}" for found in word.complete(last, context)]
    before, last = last_argument(rest)
    if name == "name" and before.strip():
        return [
            f"name {before}{quoted(found)}" for found in _suggested(before, context) if found.startswith(last)
        ]
    return [f"{name} {before}{quoted(found)}" for found in word.complete(last, context)]


def all_words() -> list[str]:
    """Return every word with which a command line can begin."""
    return sorted({*WORDS, *(action.name for action in ACTIONS)})


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
        cmd.Want(command.root, command.by)
        if isinstance(command, cmd.Get)
        else command._replace(at=None)
        if isinstance(command, PartWanted)
        else command
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
    if into is not None and exists_at(into, follow=False):
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
    """Return the paths that one argument of `add` means. Raise PathError or LineError."""
    path = typed_path(path_of_url(argument), context.folder)
    if is_ticket_like(argument) and not exists_at(path, too_long=False):
        raise LineError("that is a ticket, not a path: `get` takes it")
    return [to_share(path)]


def _objects(arguments: list[str], context: Context) -> list[Ticket]:
    """Return the objects that arguments mean: names known in the series, CIDs, or tickets. Raise LineError."""
    known = named(context.state)
    try:
        words = object_words(arguments, known)
        found = [
            ObjectPath(Ticket(known[word])) if word in known else parse_object_path(word) for word in words
        ]
    except BadIdError as error:
        raise LineError(str(error)) from None
    if part := next((one for one in found if one.names), None):
        raise LineError(
            f"{part.names[-1]} is a part of an object, and this takes whole ones: if the part was wanted, type its name"
        )
    return [one.ticket for one in found]


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
    try:
        found = [addr for given in arguments for addr in addrs_to_join(given)]
    except BadIdError as error:
        raise LineError(str(error)) from None
    return Outcome([cmd.Join(addr, context.mark()) for addr in dict.fromkeys(found)], "pushed a join")


def _leave(arguments: list[str], context: Context) -> Outcome:
    found = [_known_peer(argument, context) for argument in arguments]
    if not found and context.selected is not None:
        found = [context.selected]
    if not found:
        raise LineError(f"select a peer in Peers (5), or name one: {WORDS['leave'].usage}")
    commands: list[cmd.Command] = [cmd.Leave(peer, context.mark()) for peer in dict.fromkeys(found)]
    return Outcome(commands, f"pushed {counted(len(commands), 'leave')}")


def _custom(arguments: list[str], context: Context) -> Outcome:
    to = None
    if "--to" in arguments:
        index = arguments.index("--to")
        if index + 1 >= len(arguments):
            raise LineError("--to wants a peer")
        to = _known_peer(arguments[index + 1], context)
        arguments = arguments[:index] + arguments[index + 2 :]
    _some(arguments, WORDS["custom"].usage)
    command = cmd.Custom(arguments[0], " ".join(arguments[1:]).encode(), to, context.mark())
    try:
        cmd.check_command(command)
    except cmd.BadCommandError as error:
        raise LineError(str(error)) from None
    return Outcome([command], f"pushed {counted(len(command.payload), 'byte')}")


def _known_peer(text: str, context: Context) -> PeerId:
    found = typed_peer(cmd.peer_of(text), context)
    if found is None:
        raise LineError(f"{text} is not a peer that this node knows: type its id, or its name")
    return found


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
            raise LineError(f"{option} is not a limit ({', '.join(LIMITS)})")
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


def _name(arguments: list[str], context: Context) -> Outcome:
    _some(arguments, WORDS["name"].usage)
    peer = typed_peer(arguments[0], context)
    if peer is not None:
        name = " ".join(arguments[1:]).strip()
        if not name and peer not in context.called:
            raise LineError(f"{arguments[0]} has no name yet: {WORDS['name'].usage}")
    else:
        peer, name = context.selected, " ".join(arguments).strip()
    if peer is None:
        raise LineError(
            f"{arguments[0]} is not a peer that this node knows; select one in Peers (5), or type its id"
        )
    return Outcome(named=peer, argument=checked_name(name) if name else "")


def typed_peer(text: str, context: Context) -> PeerId | None:
    """Return the peer that a person typed: its id, its name, or the form in which it is shown.

    Any valid id is returned, even of a peer that is not known. None: the text is no id, and no known peer's
    name.
    """
    if is_peer_id(text):
        return PeerId(text)
    for known in (context.called, context.forms):
        for peer, form in known.items():
            if form.casefold() == text.casefold() or form == text:
                return peer
    return None


def _peers(last: str, context: Context) -> list[str]:
    known = [context.called.get(peer) or str(form) for peer, form in context.forms.items()]
    return [form for form in known if form.startswith(last)] + [
        peer for peer in context.state.peers if last and peer.startswith(last) and peer not in known
    ]


def _suggested(before: str, context: Context) -> list[str]:
    """Return the name that a peer suggests for itself. `before`: the words before the last one, which name the peer.

    Empty: they name no shown peer, it suggests no name that is free, or ids and names are hidden.
    """
    others, word = last_argument(before.rstrip())
    peer = None if others.strip() else typed_peer(word, context)
    if peer is None or peer not in context.forms:
        return []
    return [found] if (found := suggestion(context.state, context.called, peer)) else []


def _own(setting: str, *, optional: bool = False) -> Callable[[list[str], Context], Outcome]:
    def run(arguments: list[str], context: Context) -> Outcome:
        if not optional:
            _some(arguments, WORDS[setting].usage)
        return Outcome(setting=setting, argument=arguments[0] if arguments else "")

    return run


WORDS: dict[str, Word] = {
    "want": Word("want CID[/PATH]|TICKET|NAME…", "Push wants into the store", _want,
                 among(lambda context: names(context.state))),
    "get": Word("get TICKET|CID/PATH… [-o PATH]", "Want files into this folder, or to PATH", _get,
                lambda last, context: [*among(lambda c: names(c.state))(last, context), *paths(last, context)]),
    "add": Word("add PATH…", "Share files or folders", _add, paths),
    "cancel": Word("cancel [CID|NAME…]", "Cancel these; without any, what is selected", _cancel,
                   among(pending)),
    "retry": Word("retry [CID|NAME…]", "Push these again; without any, what is selected", _retry,
                  among(pending)),
    "hold": Word("hold CID|TICKET|NAME [--replicas N]", "Ask others to keep replicas of an object", _hold,
                 lambda last, context: [*among(lambda c: names(c.state))(last, context),
                                        *(["--replicas "] if last and "--replicas".startswith(last) else [])]),
    "release": Word("release CID|NAME…", "Others need not keep these any more", _release,
                    among(lambda context: called(context, context.state.holds))),
    "rm": Word("rm [CID|NAME…]", "Stop sharing these; your files stay as they are", _remove,
               among(lambda context: called(context, context.state.objects))),
    "join": Word("join ADDRESS|TICKET…", "Connect to peers, by a ticket, or the addresses that `flux-tui state`"
                 " prints there", _join,
                 lambda last, context: []),
    "leave": Word("leave [PEER…]", "Disconnect from peers, and do not dial them any more; without any, the selected"
                  " one", _leave, _peers),
    "custom": Word("custom KIND [TEXT] [--to PEER]", "Push a message of a program's own kind", _custom,
                   lambda last, context: []),
    "limit": Word("limit --upload-limit RATE …", "Change what others may have, until the node stops", _limit,
                  _limits),
    "stop": Word("stop", "Stop the node in order", _stop, lambda last, context: []),
    "filter": Word("filter TEXT", "Filter the focused panel; nothing: all of it", _own("filter", optional=True),
                   filters, True),
    "goto": Word("goto MOMENT", "Go to 12:01:03, -5m, #1234, start or live", _own("goto"),
                 among(lambda context: ("start", "live", "-1m", "-10s", "+10s", "+1m")), True),
    "theme": Word("theme NAME", "Other colours", _own("theme"), among(lambda context: context.themes)),
    "speed": Word("speed 1|10|100", "Play that many times as fast", _own("speed"),
                  among(lambda context: ("1", "10", "100"))),
    "sort": Word("sort COLUMN", "Sort the table that has focus; nothing: as they came",
                 _own("sort", optional=True), among(lambda context: context.columns)),
    "name": Word("name [PEER] NAME", "Call a peer, or the selected one, by a name; without NAME: by its id again",
                 _name, _peers),
    "panel": Word("panel NAME", "Go to a panel", _own("panel"), among(lambda context: context.panels)),
}  # fmt: skip
"""The commands that take arguments. Without arguments, `cancel` and the like run the action of that name."""
