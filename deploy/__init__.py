"""What it takes to run bookended beside its code: real servers for one machine (`local`).

Not on the record's way: nothing on it imports this package. Imports no other package of the
project, but for the job in `spark`, which is a program of its own.
"""
