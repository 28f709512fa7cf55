"""Tables that grow, beside those of ArcticDB, Delta Lake, Lance, DuckLake and icechunk.

Each peer runs in an environment of its own, since some of them need packages that others cannot
have: `--python lance=/path/to/python` says which.
"""
