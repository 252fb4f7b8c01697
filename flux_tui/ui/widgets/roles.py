"""What a span is drawn like: the stylesheet says it by roles, each a class `role--NAME`.

As component classes of Textual, all roles would be styled for every widget at each restyling: a hundred and
fifty styles before the first frame, a tenth of its time. Here one is made when something is drawn with it.
"""

from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.dom import DOMNode
from textual.widget import Widget

ROLES = (
    "text", "dim", "strong", "accent", "good", "warn", "bad", "in", "out", "name", "peer", "time", "bar", "rail",
)  # fmt: skip
"""Every role a span can have; each has a rule in the stylesheet."""
SELECTED = "lines--selected"

# Textual takes the stylesheet's types and the keys from a class's first base that is a widget: this is none.
if TYPE_CHECKING:
    _Base = Widget
else:
    _Base = object


class Roles(_Base):
    """Of a widget that draws spans."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._styles: dict[str, Style] = {}
        self._ground: tuple[object, ...] = ()
        """What the styles were made for."""

    def notify_style_update(self) -> None:
        super().notify_style_update()
        # Also told of each change of focus, which changes none of them: styling all anew takes 5 ms.
        ground = (self.app.theme, *self.background_colors)
        if ground != self._ground:
            self._ground = ground
            self.restyle()

    def restyle(self) -> None:
        """Colours have changed."""
        self._styles.clear()

    def _role(self, role: str) -> Style:
        style = self._styles.get(role)
        if style is None:
            if role not in ROLES:
                raise KeyError(role)
            style = self._styles[role] = self._styled(f"role--{role}")
        return style

    def _selection(self) -> Style:
        """Of the selected line: laid over its spans."""
        style = self._styles.get(SELECTED)
        if style is None:
            style = self._styles[SELECTED] = Style(bgcolor=self._styled(SELECTED).bgcolor)
        return style

    def _styled(self, name: str) -> Style:
        """As Textual does it for a component class (Stylesheet._process_component_classes)."""
        node = DOMNode(classes=name)
        node._attach(self)
        self.app.stylesheet.apply(node, animate=False)
        self._component_styles[name] = node.styles
        self._rich_style_cache.pop((name,), None)
        return self.get_component_rich_style(name)
