"""The processor: log records in, exact session rows out to SQL.

The second stretch of a record's way: source -> step -> session -> summarize -> projection -> SQL.
The rules are a pure core (no clock, no chance, no I/O: tests/test_tidy.py names its modules); the
shell around it owns log and database. Imports `models` only, never `ingest`.
"""
