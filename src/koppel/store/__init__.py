"""The store: one workspace's database (SQLite file or PostgreSQL schema). It holds the truth; everything else may be killed."""
