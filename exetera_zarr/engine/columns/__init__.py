"""One column in memory: strings, selecting rows, comparable keys, spans."""
