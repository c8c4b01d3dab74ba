"""What is known of a unit beside its words, and what speaks against compiling it: one module a question."""
