"""How steps are computed: one operation after the other, or from a recording."""
