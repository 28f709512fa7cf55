"""Sorting by keys of any type, within a given memory."""
