"""The style of a span: the stylesheet defines one class `role--NAME` for each role.

As component classes of Textual, all roles would be styled for every widget at each restyling. That is 150
styles before the first frame, a tenth of its time. Here a style is made when something is first drawn with
it.
"""

from rich.style import Style
from textual.dom import DOMNode
from textual.widget import Widget

ROLES = (
    "text", "dim", "strong", "accent", "good", "warn", "bad", "in", "out", "name", "peer", "time", "bar", "rail",
)  # fmt: skip
"""Every role that a span can have. Each has a rule in the stylesheet."""
SELECTED = "lines--selected"


class SpanStyles:
    """The styles of the spans of one widget."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, Style] = {}
        self._ground: tuple[object, ...] = ()
        """The theme and the background colours that the styles were made for."""

    def check(self) -> bool:
        """Forget all styles if colours have changed. Return whether they have.

        A widget calls this when Textual notifies it of a change of styles. Textual does so at each change of
        focus, too, which changes no role. Restyling all takes 5 ms.
        """
        ground = (self._widget.app.theme, *self._widget.background_colors)
        if ground == self._ground:
            return False
        self._ground = ground
        self._styles.clear()
        return True

    def role(self, role: str) -> Style:
        """Return the style of a role. Raise KeyError if there is no such role."""
        style = self._styles.get(role)
        if style is None:
            if role not in ROLES:
                raise KeyError(role)
            style = self._styles[role] = self._styled(f"role--{role}")
        return style

    def base(self) -> Style:
        """Return the style of the widget itself."""
        style = self._styles.get("")
        if style is None:
            style = self._styles[""] = self._widget.rich_style
        return style

    def selection(self) -> Style:
        """Return the style of the selected line, which is laid over the styles of its spans."""
        style = self._styles.get(SELECTED)
        if style is None:
            style = self._styles[SELECTED] = Style(bgcolor=self._styled(SELECTED).bgcolor)
        return style

    def _styled(self, name: str) -> Style:
        """Make a style as Textual does for a component class (`Stylesheet._process_component_classes`)."""
        widget = self._widget
        node = DOMNode(classes=name)
        node._attach(widget)
        widget.app.stylesheet.apply(node, animate=False)
        widget._component_styles[name] = node.styles
        widget._rich_style_cache.pop((name,), None)
        return widget.get_component_rich_style(name)
