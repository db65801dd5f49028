"""Keys: the signing key and its certificates, sealing of secrets at rest, access keys.

Every file that holds a secret has mode 0600.
"""
