"""Results -> what people read: ``figure`` (plain data), ``draw`` (matplotlib), ``report`` (HTML)."""
