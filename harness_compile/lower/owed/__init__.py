"""Readers of what has to be done first, or before a moment such as a commit."""
