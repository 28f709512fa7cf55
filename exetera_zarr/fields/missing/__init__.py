"""Missing values: companions, and what they mean for keys and spans."""
