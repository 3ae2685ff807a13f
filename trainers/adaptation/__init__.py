"""What is added to the pose loss so that a network trained on one domain works on another: one file a method."""
