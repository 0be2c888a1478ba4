"""Contracts that cross a process boundary: request models, event record, Avro codec, tables, rows.

Imports nothing of the project outside this package; no I/O, no clock, no environment.
"""
