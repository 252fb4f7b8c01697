"""The actions that a person starts with a key or with a line typed at the prompt."""
