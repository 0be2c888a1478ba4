"""The collector: HTTP in, validated events out to the log.

The first stretch of a record's way: request -> models.requests -> models.avro -> publisher -> log.
Holds no state but the set of closed sessions. Imports `models` only, never `processor`.
"""
