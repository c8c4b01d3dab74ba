"""A unit's words as clauses, and what the words in them name: commands, paths, everyday actions."""
