"""The codebook of a dataset, put together, shown and exported."""
