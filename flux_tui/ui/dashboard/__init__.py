"""The dashboard itself: the board of panels, its actions, and how it is left."""
