"""A knowledge base in Weaviate: hybrid search, and import into a collection."""
