"""The session explorer: what the database holds, as pages to look at. Reads, never writes.

At the end of the record's way: it reads the public views. Imports `models` only; `commands` puts it
together with a database and an address.
"""
