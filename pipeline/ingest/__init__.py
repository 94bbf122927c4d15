"""Archives of other places into the source database: finding, parsing, loading, reporting."""
