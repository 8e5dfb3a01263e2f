"""Files of rows: CSV and Parquet, read and written block by block."""
