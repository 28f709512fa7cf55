"""Projects of REDCap: `dictionary` reads what a project says of its fields, `columns` uses it."""
