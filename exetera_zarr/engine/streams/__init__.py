"""Columns larger than memory, block by block: sources, workspaces, row numbers."""
