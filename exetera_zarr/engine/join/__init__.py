"""Joins: a linear merge of sorted keys, and radix and hash joins of unsorted ones."""
