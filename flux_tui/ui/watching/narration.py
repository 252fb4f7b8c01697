"""Where a narrator's story stands, and which node, panel and line it wants to show."""

from flux_tui.ui.watching.narrator import Caption, Narrator, Pointer


class Narration:
    """Reads the captions of a narrator. Without a narrator, there are none."""

    def __init__(self, narrator: Narrator | None) -> None:
        self._narrator = narrator
        self._paused = False
        self._node: str | None = None
        """The title of the node that the story showed last."""
        self._step = 0
        """The number of the caption whose panel was shown last."""
        self._pointer: Pointer | None = None
        """What the caption points at and is not shown yet, because the panel has no such line."""
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
        self._step, self._pointer = caption.step, caption.pointer
        wanted = caption.panel or (first if current == self._panel else None)
        self._panel = caption.panel
        return None if wanted == current else wanted

    def pointer_to_show(self, caption: Caption) -> Pointer | None:
        """Return what a caption points at, until it was shown once. Then the person moves the selection."""
        return self._pointer if caption.step == self._step else None

    def pointer_shown(self) -> None:
        """Note that the panel shows what the caption points at."""
        self._pointer = None

    def page(self, by: int) -> None:
        """Go to the next caption (1) or the one before (-1)."""
        if self._narrator is not None:
            self._narrator.move(by)

    def press(self) -> None:
        """Do what the caption says that enter does."""
        if self._narrator is not None:
            self._narrator.press()

    def toggle_pause(self) -> None:
        """Pause the story, or resume it at its newest caption."""
        if self._narrator is not None:
            self._narrator.toggle_pause()
