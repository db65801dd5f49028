"""What is remembered: schema, queries and migrations, the same on SQLite and PostgreSQL."""
