"""Tables of databases: the rows of a query, copied to a file once."""
