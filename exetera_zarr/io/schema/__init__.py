"""The import schema: ExeTera's JSON file, read into definitions."""
