"""The workspace folder: koppel.toml, flows/, the key file. Read once, checked at start."""
