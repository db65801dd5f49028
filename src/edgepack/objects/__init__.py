"""Objects: S3 addresses, ranged reads, multipart writes, and the process of the embedded store."""
