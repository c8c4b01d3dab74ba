"""The embedded base model: a small causal LM trained here on a procedurally generated world."""
