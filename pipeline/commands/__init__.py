"""The command line: a module for each command, options that they share, and how rows and progress are shown.

Imports every room, each inside the command that needs it: a command starts as fast as what it uses.
"""
