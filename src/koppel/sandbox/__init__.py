"""The host of every system's imitation: one made-up world, one clock, call counts and fault switches."""
