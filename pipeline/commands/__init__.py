"""The commands, a module for each group. Thin: options become settings, results become text."""
