"""harness-compile: an agent's stable constraints, compiled into hooks and permission rules of its harness.

Nothing is here yet: no command is installed and nothing can be compiled. A constraint stays in the memory in
context. This package will import the floor of `distill` (records, errors, memory) and no torch.
"""
