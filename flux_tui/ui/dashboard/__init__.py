"""The app: the board of panels, its actions, and how a person leaves it."""
