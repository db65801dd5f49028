"""What an operator sees from outside: log lines, readiness, metrics, traces. The rooms above are handed narrow interfaces."""
