"""Which node is shown, at which moment, and how. Without Textual."""
