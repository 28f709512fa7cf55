"""Sessions, datasets and tables: the public faces, and one verb a file."""
