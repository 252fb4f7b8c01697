"""The style of a span: the stylesheet defines one class `role--NAME` for each role.

As component classes of Textual, all roles would be styled for every widget at each restyling. That is 150
styles before the first frame, a tenth of its time. Here a style is made when something is first drawn with
it.
"""

from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.dom import DOMNode
from textual.widget import Widget

ROLES = (
    "text", "dim", "strong", "accent", "good", "warn", "bad", "in", "out", "name", "peer", "time", "bar", "rail",
)  # fmt: skip
"""Every role that a span can have. Each has a rule in the stylesheet."""
SELECTED = "lines--selected"

# Textual takes CSS types and key bindings from the first base class that is a widget. This mixin is none.
if TYPE_CHECKING:
    _Base = Widget
else:
    _Base = object


class Roles(_Base):
    """A mixin for widgets that draw spans."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._styles: dict[str, Style] = {}
        self._ground: tuple[object, ...] = ()
        """The theme and the background colours that the styles were made for."""

    def notify_style_update(self) -> None:
        super().notify_style_update()
        # Textual also calls this at each change of focus, which changes no role. Restyling all takes 5 ms.
        ground = (self.app.theme, *self.background_colors)
        if ground != self._ground:
            self._ground = ground
            self.restyle()

    def restyle(self) -> None:
        """Forget all styles, because colours have changed."""
        self._styles.clear()

    def _role(self, role: str) -> Style:
        style = self._styles.get(role)
        if style is None:
            if role not in ROLES:
                raise KeyError(role)
            style = self._styles[role] = self._styled(f"role--{role}")
        return style

    def _selection(self) -> Style:
        """Return the style of the selected line, which is laid over the styles of its spans."""
        style = self._styles.get(SELECTED)
        if style is None:
            style = self._styles[SELECTED] = Style(bgcolor=self._styled(SELECTED).bgcolor)
        return style

    def _styled(self, name: str) -> Style:
        """Make a style as Textual does for a component class (`Stylesheet._process_component_classes`)."""
        node = DOMNode(classes=name)
        node._attach(self)
        self.app.stylesheet.apply(node, animate=False)
        self._component_styles[name] = node.styles
        self._rich_style_cache.pop((name,), None)
        return self.get_component_rich_style(name)
