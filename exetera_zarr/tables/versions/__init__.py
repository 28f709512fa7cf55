"""Versions of a dataset: what a person does with them."""
