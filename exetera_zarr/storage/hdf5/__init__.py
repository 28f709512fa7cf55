"""ExeTera's own HDF5 files, read and written."""
