"""What a person sees of tables, fields, datasets and sessions, in a terminal and in a notebook."""
