"""Takes pages in, decides, and does the plan: sends, writes, links, records. It can be killed at any instant."""
