"""The package: archive reading, manifest, signature, assembly, verification. Pure: no network, no database, no files.

`scan` reads a model artifact once, `assembly` puts a signed manifest in front of its untouched deflate stream,
`verification` checks the result.
"""
