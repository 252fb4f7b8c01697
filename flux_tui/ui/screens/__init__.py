"""What opens over the panels: typing a want, adding a file, inspecting, going to a time, help."""
