"""The forms that files of rows have: one class each."""
