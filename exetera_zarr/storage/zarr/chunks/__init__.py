"""Blocks of arrays as the bytes of objects."""
