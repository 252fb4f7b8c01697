"""State to rows: what each panel shows, as plain data. Pure."""
