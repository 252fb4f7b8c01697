"""The app: the board of panels, its actions, and the ways to leave it."""
