"""What each operation does, one module per resource; the wire knows how it is said, the jobs room how it lasts."""
