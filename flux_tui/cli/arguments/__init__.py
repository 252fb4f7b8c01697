"""Options and arguments of the commands, and the last sections of their help pages."""
