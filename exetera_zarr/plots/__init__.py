"""Pictures of fields and tables, by matplotlib, of figures that are gathered block by block."""
