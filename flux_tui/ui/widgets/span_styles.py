"""Finds the style of a span by its role: the stylesheet defines one class `role--NAME` for each role.

If the roles were component classes of Textual, each widget would style all of them again and again. That is
150 styles before the first frame, a tenth of its time. Here a style is made when it is first needed.
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
    """The styles of the spans (pieces of text with a role) of one widget."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, Style] = {}
        self._ground: tuple[object, ...] = ()
        """The theme and the background colours that the styles were made for."""

    def check(self) -> bool:
        """Forget all styles if colours have changed. Return whether they have.

        A widget calls this when Textual notifies it of a change of styles. Textual does so at each change of
        focus, too, which changes no role. Making all styles again takes 5 ms.
        """
        ground = (self._widget.app.theme, *self._widget.background_colors)
        if ground == self._ground:
            return False
        self._ground = ground
        self._styles.clear()
        return True

    def role(self, role: str) -> Style:
        """Return the style for a role. Raise KeyError if the stylesheet has no such role."""
        style = self._styles.get(role)
        if style is None:
            if role not in ROLES:
                raise KeyError(role)
            style = self._styles[role] = self._styled(f"role--{role}")
        return style

    def base(self) -> Style:
        """Return the style of the widget itself, for the parts of a line without a span."""
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
        """Make a style from a class of the stylesheet, as Textual does in `Stylesheet._process_component_classes`."""
        widget = self._widget
        node = DOMNode(classes=name)
        node._attach(widget)
        widget.app.stylesheet.apply(node, animate=False)
        widget._component_styles[name] = node.styles
        widget._rich_style_cache.pop((name,), None)
        return widget.get_component_rich_style(name)
