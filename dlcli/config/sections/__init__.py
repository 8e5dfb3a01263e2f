"""The sections of a config that are no family of parts."""
