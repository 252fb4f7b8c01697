"""Downloads: the blocks of each wanted object, where its content belongs, and when it can be written."""
