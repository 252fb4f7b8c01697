"""What goes into the machine and what comes out: commands, inputs, effects, and who pushed what."""
