"""What a person types: the command line behind `:`, and wants."""
