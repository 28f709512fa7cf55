"""The Zarr back end: format 1, its versions, and the draft between them."""
