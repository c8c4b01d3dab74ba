"""Self-study: the teacher reads the memory, writes questions about it and answers them."""
