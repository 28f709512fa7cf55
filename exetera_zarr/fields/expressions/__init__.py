"""Operators of fields: comparisons, arithmetic, logic, row by row."""
