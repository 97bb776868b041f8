"""Rows in DynamoDB: all tables in one, a command a transaction whose reads are checked when it is written."""
