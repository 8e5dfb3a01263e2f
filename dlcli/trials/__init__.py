"""Training runs that differ in some settings: how they are executed, and what they show."""
