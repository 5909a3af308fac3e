"""Fakes that belong to the product: a model, a client and links with verbs, for your own tests and for trying out."""
