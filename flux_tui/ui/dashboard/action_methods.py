"""The table that says which method runs each action of the dashboard."""

from collections.abc import Callable, Mapping
from functools import partial

from flux_tui.ui.dashboard.parts import Parts
from flux_tui.ui.widgets.panel_layout import PANELS


def action_table(
    parts: Parts,
    *,
    show_help: Callable[[], None],
    show_palette: Callable[[], None],
    leave: Callable[[bool], None],
) -> Mapping[str, Callable[[], object]]:
    """Return the method that runs each action, by the name of the action in `ui/keys.py`.

    `show_help` opens the help, `show_palette` the list of all commands. `leave` ends the dashboard. Its
    argument says whether the node keeps running.
    """
    acting, playback = parts.acting, parts.playback
    chosen, display = acting.selected_objects, acting.display

    def in_flow(there: Callable[[], None], elsewhere: Callable[[], None]) -> Callable[[], None]:
        return lambda: there() if acting.flow.current else elsewhere()

    return {
        "narrate-next": partial(parts.story.page, 1),
        "narrate-back": partial(parts.story.page, -1),
        "narrate-pause": parts.story.toggle_pause,
        "want": acting.want_and_add.want,
        "add": acting.want_and_add.add,
        "hold": chosen.hold,
        "cancel": chosen.cancel,
        "remove": chosen.remove,
        "retry": chosen.retry,
        "undo": chosen.undo,
        "mark": chosen.mark,
        "mark-range": chosen.mark_range,
        "mark-all": chosen.mark_all,
        "restart": acting.sender.restart,
        "command": acting.command_line.open,
        "filter": acting.filtering.open,
        "next-match": partial(acting.filtering.match, 1),
        "previous-match": partial(acting.filtering.match, -1),
        "clear": display.clear,
        "inspect": partial(parts.story.enter, acting.inspecting.inspect),
        "zoom": parts.panels.toggle_zoom,
        "next-panel": partial(display.next_panel, 1),
        "previous-panel": partial(display.next_panel, -1),
        **{f"panel-{number}": partial(parts.panels.go_to, name) for number, name in enumerate(PANELS, 1)},
        "panel-7": acting.flow.open,
        "panel-8": acting.objects.open,
        "next-tab": partial(acting.objects.next_tab, 1),
        "previous-tab": partial(acting.objects.next_tab, -1),
        "flow-face": acting.flow.toggle_picture,
        "mark-back": partial(acting.flow.go_to_mark, -1),
        "mark-forward": partial(acting.flow.go_to_mark, 1),
        "fold": lambda: acting.objects.unfold() if acting.objects.current else display.fold(),
        "times": display.next_times,
        "sort-right": partial(acting.sorting.step, 1),
        "sort-left": partial(acting.sorting.step, -1),
        "sort-reverse": in_flow(acting.flow.next_order, acting.sorting.reverse),
        "next-node": parts.switch.show_next,
        "freeze": playback.toggle_freeze,
        "step-back": partial(playback.step, -1),
        "step-forward": partial(playback.step, 1),
        "leap-back": partial(playback.leap, -10),
        "leap-forward": partial(playback.leap, 10),
        "minute-back": partial(playback.leap, -60),
        "minute-forward": partial(playback.leap, 60),
        "goto": acting.command_line.open_goto,
        "live": playback.go_live,
        "play": playback.toggle_play,
        "speed": playback.next_speed,
        "strip-closer": in_flow(partial(acting.flow.zoom, -1), partial(parts.timeline.wider, -1)),
        "strip-wider": in_flow(partial(acting.flow.zoom, 1), partial(parts.timeline.wider, 1)),
        "copy": acting.copying.copy_id,
        "ticket": acting.copying.copy_ticket,
        "ticket-code": acting.copying.show_code,
        "screenshot": acting.copying.screenshot,
        "mask": display.mask,
        "palette": show_palette,
        "help": show_help,
        "detach": partial(leave, True),
        "quit": acting.leaving.quit,
    }
