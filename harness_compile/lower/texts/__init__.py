"""Readers of rules about texts: commits, pull requests, what is written, what is read at the start."""
