"""Decides when and where a pass happens and whom it tells. It owns no truth: the store does."""
