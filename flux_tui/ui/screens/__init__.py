"""Windows over the panels: typing a want, adding a file, inspecting, a question, help."""
