"""Rows from outside: what is given as rows of a table, and how a table takes them in.

`given` reads whatever was given, block by block, into the few forms of `values`; `fitting` makes
each of them the column of a field, exactly or not at all; `columns` says which goes where. The
verbs are `appending`, `upserting` and `deleting`.
"""
