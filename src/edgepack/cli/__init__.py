"""The commands. Each imports its rooms when it runs, so that `edgepack verify` does not wait for a server's imports."""
