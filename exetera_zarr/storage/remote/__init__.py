"""The one door to whatever is not on this machine: URLs, options, credentials, requests."""
