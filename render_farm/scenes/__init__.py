"""What surrounds people: cameras, lights, backgrounds, things in the way, the sensor; and the scene they make up."""
