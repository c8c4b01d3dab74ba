"""What is known of a unit beside its own words, and what speaks against compiling it: one module a question."""
