"""One module for each contestant: its way to do each task, from stored input to stored output.

`TASKS` are functions of the folder of inputs, the path to write to, and ``memory_limit``, which
counts for those that have such a thing. `CANNOT` says why a task is missing.
"""
