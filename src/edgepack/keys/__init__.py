"""Keys: the signing key and its certificates, sealing of secrets at rest, access keys. Every secret file has mode 0600."""
