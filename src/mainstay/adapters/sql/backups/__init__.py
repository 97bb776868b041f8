"""Backups: one file that a database can be made from again, with what stands in each table counted in its snapshot."""

from mainstay.adapters.sql.backups.contents import BackupFault, Contents, read_contents, write_contents

__all__ = ["BackupFault", "Contents", "read_contents", "write_contents"]
