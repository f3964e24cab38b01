"""The canonical entities, the values they are made of, and what a resource can do with them. Pure."""
