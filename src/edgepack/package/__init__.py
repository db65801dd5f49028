"""The package: archive reading, manifest, signature, assembly and verification. Pure: no network, no database, no files.

`scan` reads a model artifact once, `assembly` puts a signed manifest in front of its untouched deflate stream, `verification`
checks a package byte by byte. docs/package-format.md is the specification.
"""
