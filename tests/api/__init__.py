"""Programs on `flux_tui` alone, as their authors would write them, and what the public names promise."""
