"""The tests of bookended; README.md beside this file says what is where."""
