"""Rows in MongoDB: a document a row, a collection a table, a transaction of several documents a command."""
