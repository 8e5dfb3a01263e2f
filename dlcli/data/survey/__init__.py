"""What `dlcli init` sees in a table before anything is decided."""
