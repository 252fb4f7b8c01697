"""Options and arguments of the commands, and the ends of their help pages."""
