"""Versions: manifests, which of them are kept, and what is swept."""
