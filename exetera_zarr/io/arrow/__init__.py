"""Arrow, the hub by which tables leave and enter: streams, Parquet and Feather files, frames.

`columns` makes one column of a table an array of Arrow, `stream` a table a stream of batches, and
`files` writes and reads such streams. What comes in goes through `tables/rows`.
"""
