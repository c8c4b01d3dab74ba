"""harness-compile: an agent's stable constraints, compiled into hooks and permission rules of its harness.

A memory is read by the floor of `distill`, lowered to rules, and written as one bundle per harness: native
settings and the guard that they ask. Imports the floor alone and no torch. Not covered: proof in the running
harness.
"""
