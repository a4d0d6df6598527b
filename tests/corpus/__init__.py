"""A corpus of damaged files: every kind that the program reads, in every form of damage."""
