"""The base class of all errors that a program sees."""


class FluxError(Exception):
    """The base class of the errors of flux-tui: one `except FluxError` catches them all.

    Its text is one sentence for a person. What a program needs is in the attributes of its subclasses.
    """
