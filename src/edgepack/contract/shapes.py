"""The base of all requests, responses and their parts."""

import msgspec


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="pascal"):
    """A shape of the API: immutable, snake_case here and PascalCase on the wire; an absent member is None.

    Every subclass says `frozen=True, kw_only=True`: type checkers do not inherit the one, msgspec not the other.
    """
