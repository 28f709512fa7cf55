"""Object stores: flat, blocking, bytes by key; one file for each kind of place."""
