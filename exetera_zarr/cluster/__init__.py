"""The verbs of tables on a cluster of Dask: what `Session(cluster=...)` hands over to."""
