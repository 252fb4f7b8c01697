"""Where a narrator's story stands, and which node and panel it wants to show."""

from flux_tui.ui.watching.narrator import Caption, Narrator


class Narration:
    """Reads the captions of a narrator. Without a narrator, there are none."""

    def __init__(self, narrator: Narrator | None) -> None:
        self._narrator = narrator
        self._paused = False
        self._node: str | None = None
        """The title of the node that the story showed last."""
        self._step = 0
        """The number of the caption whose panel was shown last."""
        self._panel: str | None = None
        """The panel that the story showed last. None: the first one, or the one that the person chose."""

    @property
    def told(self) -> bool:
        """Whether there is a story."""
        return self._narrator is not None

    @property
    def paused(self) -> bool:
        """Whether the story was paused when its caption was last read."""
        return self._paused

    def read(self) -> Caption | None:
        """Return the caption to show now. None: there is no story."""
        if self._narrator is None:
            return None
        caption = self._narrator.caption
        self._paused = caption.paused
        return caption

    def node_to_show(self, caption: Caption) -> str | None:
        """Return the title of the node to show, when a caption names another one than the caption before."""
        if caption.node is None or caption.node == self._node:
            return None
        self._node = caption.node
        return caption.node

    def panel_to_show(self, caption: Caption, current: str, first: str) -> str | None:
        """Return the panel to show at a new caption. None: `current` stays.

        A caption without a panel shows `first`, unless the person chose another panel meanwhile.
        """
        if caption.step == self._step:
            return None
        self._step = caption.step
        wanted = caption.panel or (first if current == self._panel else None)
        self._panel = caption.panel
        return None if wanted == current else wanted

    def page(self, by: int) -> None:
        """Go to the next caption (1) or the one before (-1)."""
        if self._narrator is not None:
            self._narrator.move(by)

    def toggle_pause(self) -> None:
        """Pause the story, or resume it at its newest caption."""
        if self._narrator is not None:
            self._narrator.toggle_pause()
