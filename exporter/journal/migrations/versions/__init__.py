"""Changes of existing tables. New journals are created from `exporter.journal.tables`."""
