"""One module for each family of memory formats: which files it is made of, and what it says in them.

`table` knows all of them. A module gives `find(places)`, the files of a walk in load order, and `entry(path,
scope)` for a file that the user named.
"""
