"""Commands, inputs and effects of the machine, and attribution: which peer pushed an input."""
