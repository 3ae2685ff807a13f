"""What people look like: skin, hair and clothes, painted over a body's texture and raised from its surface."""
