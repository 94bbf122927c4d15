"""Mutation testing: small wrong edits, made by rule, that some test must notice. ``make test-mutations`` runs it.

``mutants`` makes the edits, ``plan`` says which files are mutated, which tests can see each, and which mutants are
equivalent, ``__main__`` runs the tests on each mutant in a copy of the checkout and lists those that survive.
"""
