"""The programs of the corpus by family; each module has one list per program."""
