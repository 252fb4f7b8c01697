"""What several tests share. Nothing in it is a test, and no test imports from another test."""
