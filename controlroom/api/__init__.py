"""The REST API, /api/v1: what the pages do, for scripts with a token. One router an area; no rule lives here alone.

Handlers parse, call the actions and selectors of the pages, and render. They import what brings compiled code with it
inside functions, as the pages do.
"""
