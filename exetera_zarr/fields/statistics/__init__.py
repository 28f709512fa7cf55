"""Statistics of one field, over the values that there are."""
