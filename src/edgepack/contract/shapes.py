"""The base of all requests, responses and their parts."""

import msgspec


def wire_name(member: str) -> str:
    """A member's name on the wire, `MaxResults` for `max_results`, where nothing else was said for it."""
    return "".join(word.capitalize() for word in member.split("_"))


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="pascal"):
    """A shape of the API: immutable, snake_case here and PascalCase on the wire; an absent member is None.

    Every subclass says `frozen=True, kw_only=True`: type checkers do not inherit the one, msgspec not the other.
    """
