"""What is written to a field, in every form in which people have it, as the field stores it."""
