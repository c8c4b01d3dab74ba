"""What the grammar knows of programs, files and everyday actions: data tables, nothing else.

Covers common command-line programs (`commands`), phrases for what they do (`actions`), and languages and
well-known files (`places`). Not covered: how a sentence uses them (`phrases` and its neighbours).
"""
