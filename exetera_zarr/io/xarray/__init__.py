"""Tables as datasets of xarray: `variables` makes arrays of columns, `backend` opens tables."""
