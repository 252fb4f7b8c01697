"""The series: events, the state that they fold to, and the rules that the fold applies."""
