"""Pictures of the dashboard, made from a recorded series; and the recording of it."""
