"""The store: catalog, customers, orders and reports. Other modules ask it, or hear its events."""

from mainstay import Module

store = Module("store")
