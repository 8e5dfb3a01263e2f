"""How the cells of a file write numbers and dates, and the same cells in plain notation."""
