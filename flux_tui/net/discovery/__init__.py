"""How peers learn of each other: the records that nodes tell each other."""
