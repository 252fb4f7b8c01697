"""The content of the window Inspect: the facts about an entry, object or peer, and the entries about it.

Pure.
"""
