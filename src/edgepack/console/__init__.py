"""The web page: what a person sees who opens the server in a browser."""
