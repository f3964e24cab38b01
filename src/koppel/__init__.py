"""Koppel keeps Dutch business software in step."""
