"""Aggregation over spans of sorted rows, and over groups of unsorted ones."""
