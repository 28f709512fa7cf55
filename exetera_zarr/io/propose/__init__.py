"""Schemas proposed from what CSV files hold."""
