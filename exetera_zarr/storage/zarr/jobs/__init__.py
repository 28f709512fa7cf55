"""What several processes write for one draft."""
