"""The page of an ensemble by cross-validation."""
