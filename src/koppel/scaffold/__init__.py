"""A system of one's own, begun: the package that `koppel new-system` writes, as templates."""
