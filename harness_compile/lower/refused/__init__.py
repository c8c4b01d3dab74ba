"""Readers of what may not be done, of what has to be asked about, and of one command over another."""
