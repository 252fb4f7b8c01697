"""What the window of Inspect shows: facts about a subject, and the entries that touch it. Pure."""
