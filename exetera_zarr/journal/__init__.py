"""Journals: tables that keep what each row was, and from when to when."""
