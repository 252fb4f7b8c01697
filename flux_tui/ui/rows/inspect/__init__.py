"""The content of the window of Inspect: facts about a subject, and the entries that touch it. Pure."""
