"""Which node the dashboard shows, at which moment, and with which display settings. Without Textual."""
