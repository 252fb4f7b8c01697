"""Intents of a program's own kinds: how they are told, paced, and pushed again."""
