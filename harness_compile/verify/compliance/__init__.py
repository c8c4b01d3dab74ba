"""Compliance under temptation: a model with rules in context, in the harness, in both, in neither."""

from harness_compile.verify.compliance.guarded import Decision, guarded

__all__ = ["Decision", "guarded"]
