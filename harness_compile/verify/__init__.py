"""Proof that a bundle does what its rules say: every case, through every payload shape."""
