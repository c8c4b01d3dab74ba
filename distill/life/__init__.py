"""An adapter's life after its build: where it came from, what becomes of it, and how it is let go."""
