"""The farm on Ray: which shards make up a job, the actors that render them, the driver that survives their deaths."""
