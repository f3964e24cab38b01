"""Numbers and codes of Dutch business life: one module each, with `compact`, `validate` and `is_valid`."""

from koppel.formats.invalid import InvalidNumber

__all__ = ["InvalidNumber"]
