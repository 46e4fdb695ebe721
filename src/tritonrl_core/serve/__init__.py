"""The verifier as an HTTP service, and the client that speaks to it.

`desk` judges what is handed in, once per content; `schema` is what crosses the wire; `app` is HTTP and nothing else;
`run` decides whether to listen at all; `client` needs no GPU, no torch and no plugin.
"""
