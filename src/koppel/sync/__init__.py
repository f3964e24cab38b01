"""The functional core: two translated sides and what was last agreed go in, steps come out. No I/O, no clock."""
