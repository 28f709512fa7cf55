"""What a person's fingers know of columns from elsewhere: rows by number, ``.dt``, ``.str``."""
