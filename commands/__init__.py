"""The command line, one module a command, with what they share: settings, logs, players, tables.

Together with `bookended.py` the composition root: may import every other package; none of them
imports this one.
"""
