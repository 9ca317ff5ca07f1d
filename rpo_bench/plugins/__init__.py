"""Imports users' code after a trial in a child process."""
