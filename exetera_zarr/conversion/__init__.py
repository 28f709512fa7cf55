"""Datasets copied between places and formats."""
