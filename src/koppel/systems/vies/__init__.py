"""VIES: the European Commission's confirmation of VAT numbers."""
