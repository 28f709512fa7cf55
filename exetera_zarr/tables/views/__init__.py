"""Tables of which rows and columns are chosen, and tables of the session's own."""
