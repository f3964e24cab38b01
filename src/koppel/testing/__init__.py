"""What proves a Koppel, or a system added to it: the contract suite (needs pytest), simulation and torture."""
