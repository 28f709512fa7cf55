"""CSV text: its dialect, its cells, and what they become."""
