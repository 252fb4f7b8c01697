"""The series: its events, the state that follows from them (the fold), and the rules that the fold applies."""
