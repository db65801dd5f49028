"""What an operator sees from outside: log lines, readiness, metrics, traces; for the rooms above, narrow interfaces."""
