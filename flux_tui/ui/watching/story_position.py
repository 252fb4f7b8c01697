"""Follows a narrated demo: which caption is shown, and which node, panel and line it is about."""

from flux_tui.ui.watching.captions import Caption, Narrator, Pointer


class Narration:
    """Reads the captions of a narrated demo. Without a narrator, there are no captions."""

    def __init__(self, narrator: Narrator | None) -> None:
        self._narrator = narrator
        self._paused = False
        self._node: str | None = None
        """The title of the node that the narrated demo showed last."""
        self._step = 0
        """The number of the caption whose panel was shown last."""
        self._pointer: Pointer | None = None
        """The line that the caption is about, if it is not shown yet because the panel does not have it."""
        self._panel: str | None = None
        """The panel that the narrated demo showed last. None: the first one, or the one that the person chose."""

    @property
    def active(self) -> bool:
        """Whether a narrated demo is shown."""
        return self._narrator is not None

    @property
    def paused(self) -> bool:
        """Whether the narrated demo was paused when its caption was last read."""
        return self._paused

    def read(self) -> Caption | None:
        """Return the caption to show now. None: no narrated demo is shown."""
        if self._narrator is None:
            return None
        caption = self._narrator.caption
        self._paused = caption.paused
        return caption

    def node_to_show(self, caption: Caption) -> str | None:
        """Return the title of the node to show, if a caption is about another node than the caption before.

        Otherwise None.
        """
        if caption.node is None or caption.node == self._node:
            return None
        self._node = caption.node
        return caption.node

    def panel_to_show(self, caption: Caption, current: str, first: str) -> str | None:
        """Return the name of the panel to show for a new caption. None: the panel `current` stays.

        A caption without a panel shows the panel `first`, unless the person chose another panel since the
        last caption.
        """
        if caption.step == self._step:
            return None
        self._step, self._pointer = caption.step, caption.pointer
        wanted = caption.panel or (first if current == self._panel else None)
        self._panel = caption.panel
        return None if wanted == current else wanted

    def pointer_to_show(self, caption: Caption) -> Pointer | None:
        """Return the line or object that a caption is about.

        None: there is none, or it was shown once already. After it was shown, only the person moves the
        selection.
        """
        return self._pointer if caption.step == self._step else None

    def pointer_shown(self) -> None:
        """Note that the line or object that the caption is about is visible now."""
        self._pointer = None

    def page(self, by: int) -> None:
        """Show the next caption (1) or the previous caption (-1)."""
        if self._narrator is not None:
            self._narrator.move(by)

    def press(self) -> None:
        """Do what the enter key does at this caption; `Caption.press` says it in words."""
        if self._narrator is not None:
            self._narrator.press()

    def toggle_pause(self) -> None:
        """Pause the narrated demo, or resume it at its newest caption."""
        if self._narrator is not None:
            self._narrator.toggle_pause()
