"""The command line: one file per command, thin over `koppel.app`; heavy imports happen inside the commands."""
