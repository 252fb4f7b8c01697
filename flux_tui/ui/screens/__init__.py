"""The windows over the panels: type a want, share a file, Inspect, a question, the help."""
