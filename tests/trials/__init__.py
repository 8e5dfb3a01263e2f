"""What the runs of a comparison say: the verdict, and profiles over several problems."""
