"""How it is said: HTTP, Signature Version 4, AWS JSON 1.1, AWS query and REST JSON, and the error bodies of each."""
