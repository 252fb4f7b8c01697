"""Custom messages: intents of a program's own kinds, their rate limit, and pushing again."""
