"""Proof in the real harness: its own binary, headless, in a throw-away project, with a scripted model."""
